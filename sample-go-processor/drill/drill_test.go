//go:build linux

// The drill does what it says. The test binary itself plays the drill, in a process of its own.
package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if os.Getenv("DRILL_TEST_PLAY") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type run struct {
	stdout, stderr string
	state          *os.ProcessState
	out            string
}

func (r run) code() int { return r.state.ExitCode() }

// command is the drill, about to be run with directories of its own.
func command(t *testing.T, verbs ...string) (*exec.Cmd, string) {
	t.Helper()
	in, out := t.TempDir(), t.TempDir()
	cmd := exec.Command("/proc/self/exe", verbs...)
	cmd.Env = append(os.Environ(), "DRILL_TEST_PLAY=1", "DRILL_IN="+in, "DRILL_OUT="+out)
	return cmd, out
}

// finish runs it. Output goes through files, not pipes: a child that outlives the drill would keep a pipe open.
func finish(t *testing.T, cmd *exec.Cmd, out string) run {
	t.Helper()
	dir := t.TempDir()
	stdout, err := os.Create(dir + "/stdout")
	must(t, err)
	defer stdout.Close()
	stderr, err := os.Create(dir + "/stderr")
	must(t, err)
	defer stderr.Close()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	said, err := os.ReadFile(stdout.Name())
	must(t, err)
	complained, err := os.ReadFile(stderr.Name())
	must(t, err)
	return run{string(said), string(complained), cmd.ProcessState, out}
}

func drill(t *testing.T, verbs ...string) run {
	t.Helper()
	cmd, out := command(t, verbs...)
	return finish(t, cmd, out)
}

func TestTalkAndLeave(t *testing.T) {
	r := drill(t, "say", "one two", "err", "oops", "exit", "7", "say", "never")
	if r.stdout != "one two\n" || r.stderr != "oops\n" || r.code() != 7 {
		t.Errorf("got %q, %q, exit %d", r.stdout, r.stderr, r.code())
	}
}

func TestWrongCallsDoNothing(t *testing.T) {
	for _, verbs := range [][]string{{"say", "hello", "dance"}, {"say", "hello", "write", "name"}, {}} {
		r := drill(t, verbs...)
		if r.code() != exitUsage || r.stdout != "" || !strings.Contains(r.stderr, "usage: drill") {
			t.Errorf("%q: exit %d, said %q", verbs, r.code(), r.stdout)
		}
	}
}

func TestBadArgumentsFail(t *testing.T) {
	for _, verbs := range [][]string{
		{"fill", "a", "12MB"}, {"exit", "256"}, {"signal", "0"}, {"sleep", "long"}, {"chmod", "a", "9"}, {"files", "-1"},
	} {
		if r := drill(t, verbs...); r.code() != 1 || !strings.HasPrefix(r.stderr, "drill: "+verbs[0]+": ") {
			t.Errorf("%q: exit %d, %q", verbs, r.code(), r.stderr)
		}
	}
}

func TestScriptFromTheInput(t *testing.T) {
	cmd, out := command(t)
	script := "# a script\n\nsay  hello there \nwrite a/b.txt some text\r\nexit 9\n"
	for _, variable := range cmd.Env {
		if strings.HasPrefix(variable, "DRILL_IN=") {
			must(t, os.WriteFile(filepath.Join(strings.TrimPrefix(variable, "DRILL_IN="), "script.txt"), []byte(script), 0o644))
		}
	}
	r := finish(t, cmd, out)
	if r.stdout != "hello there\n" || r.code() != 9 {
		t.Errorf("said %q, %q, exit %d", r.stdout, r.stderr, r.code())
	}
	if content, err := os.ReadFile(filepath.Join(out, "a/b.txt")); err != nil || string(content) != "some text" {
		t.Errorf("wrote %q, %v", content, err)
	}
}

func TestFlaky(t *testing.T) {
	for attempt, code := range map[string]int{"": 75, "1": 75, "2": 75, "3": 0, "4": 0} {
		cmd, out := command(t, "flaky", "3")
		cmd.Env = append(cmd.Env, "FILEYARD_ATTEMPT="+attempt)
		if r := finish(t, cmd, out); r.code() != code {
			t.Errorf("attempt %q: exit %d", attempt, r.code())
		}
	}
}

func TestSpewIsExact(t *testing.T) {
	for _, bytes := range []string{"11", "12", "75", "300", "1MiB"} {
		r := drill(t, "spew", bytes)
		want, _ := size(bytes)
		if int64(len(r.stdout)) != want || !strings.HasPrefix(r.stdout, "first\n") || !strings.HasSuffix(r.stdout, "\nlast\n") {
			t.Errorf("%s: %d bytes", bytes, len(r.stdout))
		}
	}
	if r := drill(t, "spew", "1MiB"); !strings.Contains(r.stdout, "\nline 000000016000 x") {
		t.Error("lines are not numbered")
	}
}

func TestSigterm(t *testing.T) {
	for _, c := range []struct {
		verbs []string
		ended func(syscall.WaitStatus) bool
	}{
		{[]string{"say", "up", "wait"}, func(s syscall.WaitStatus) bool { return s.Exited() && s.ExitStatus() == 0 }},
		{[]string{"say", "up", "sleep", "1h", "wait"}, func(s syscall.WaitStatus) bool { return s.Exited() && s.ExitStatus() == 0 }},
		{[]string{"say", "up", "sleep", "1h"}, func(s syscall.WaitStatus) bool { return s.Signaled() && s.Signal() == syscall.SIGTERM }},
		{[]string{"say", "up", "sleep", "300ms", "exit", "5", "stubborn"}, func(s syscall.WaitStatus) bool { return s.ExitStatus() == 5 }},
	} {
		cmd, _ := command(t, c.verbs...)
		stdout, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		first := make([]byte, 3)
		if _, err := stdout.Read(first); err != nil || string(first) != "up\n" {
			t.Fatalf("%q said %q, %v", c.verbs, first, err)
		}
		must(t, cmd.Process.Signal(syscall.SIGTERM))
		late := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		cmd.Wait()
		late.Stop()
		if !c.ended(cmd.ProcessState.Sys().(syscall.WaitStatus)) {
			t.Errorf("%q: %v", c.verbs, cmd.ProcessState)
		}
	}
}

func TestSignalsReallyKill(t *testing.T) {
	for number, signal := range map[string]syscall.Signal{
		"6": syscall.SIGABRT, "9": syscall.SIGKILL, "11": syscall.SIGSEGV, "15": syscall.SIGTERM, "31": syscall.SIGSYS,
	} {
		r := drill(t, "signal", number)
		if s := r.state.Sys().(syscall.WaitStatus); !s.Signaled() || s.Signal() != signal {
			t.Errorf("signal %s: %v", number, r.state)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestReachAndBeReached(t *testing.T) {
	r := drill(t, "listen", "0", "dial", "127.0.0.1:1", "ask", "127.0.0.1:1", "resolve", "localhost")
	want := []string{"dial 127.0.0.1:1: ECONNREFUSED", "ask 127.0.0.1:1: ECONNREFUSED", "resolve localhost: 127.0.0.1"}
	for _, line := range want {
		if !strings.Contains(r.stdout, line) {
			t.Errorf("%q is not in %q", line, r.stdout)
		}
	}
	r = drill(t, "listen", "47113", "dial", "127.0.0.1:47113", "ask", "127.0.0.1:47113")
	if !strings.Contains(r.stdout, "dial 127.0.0.1:47113: ok") || !strings.Contains(r.stdout, "ask 127.0.0.1:47113: ok") {
		t.Errorf("got %q, %q", r.stdout, r.stderr)
	}
}
