//go:build linux

// Memory, processes, and what the probe sees.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestEatIsResident(t *testing.T) {
	r := drill(t, "eat", "100MiB")
	if peak := r.state.SysUsage().(*syscall.Rusage).Maxrss; r.code() != 0 || peak < 100<<10 {
		t.Errorf("exit %d, at most %d KiB resident", r.code(), peak)
	}
}

func TestOomChildGoesOn(t *testing.T) {
	r := drill(t, "oomchild", "1MiB", "say", "still here")
	if r.code() != 0 || !strings.HasSuffix(r.stdout, "drill: child ended: exit status 0\nstill here\n") {
		t.Errorf("exit %d: %q %q", r.code(), r.stdout, r.stderr)
	}
	cmd, out := command(t)
	cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", `ulimit -v 2000000; exec "$0" oomchild 4GiB say on`, exe(t)}
	if r := finish(t, cmd, out); r.code() != 0 || !strings.HasSuffix(r.stdout, "drill: child ended: exit status 1\non\n") {
		t.Errorf("exit %d: %q %q", r.code(), r.stdout, r.stderr)
	}
}

func TestForkedChildrenLiveAsLongAsTheDrill(t *testing.T) {
	cmd, _ := command(t, "fork", "5", "wait")
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	said, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || said != "drill: forked 5\n" {
		t.Fatalf("said %q, %v", said, err)
	}
	if got := len(children(t, cmd.Process.Pid)); got != 5 {
		t.Errorf("%d children", got)
	}
	must(t, cmd.Process.Signal(syscall.SIGTERM))
	must(t, cmd.Wait())
}

// TestNoChildOutlivesTheDrill: each child holds the pipe's end; that the pipe is over proves that all are gone.
func TestNoChildOutlivesTheDrill(t *testing.T) {
	for i := 0; i < 50; i++ {
		ours, theirs, err := os.Pipe()
		must(t, err)
		cmd, out := command(t, "fork", "8", "exit", "0")
		cmd.ExtraFiles = []*os.File{theirs}
		finish(t, cmd, out)
		theirs.Close()
		must(t, ours.SetReadDeadline(time.Now().Add(20*time.Second)))
		if _, err := ours.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("run %d: a child outlived the drill: %v", i, err)
		}
		ours.Close()
	}
}

func TestForkBombReports(t *testing.T) {
	cmd, out := command(t)
	unprivileged(t, cmd)
	cmd.Path, cmd.Args = "/bin/bash", []string{"bash", "-c", `ulimit -u 60; exec "$0" fork 0`, "/proc/self/fd/9"}
	executable, err := os.Open(exe(t))
	must(t, err)
	defer executable.Close()
	for i := 0; i < 7; i++ { // the file is to be descriptor 9
		cmd.ExtraFiles = append(cmd.ExtraFiles, executable)
	}
	r := finish(t, cmd, out)
	var children int
	if _, err := fmt.Sscanf(r.stdout, "drill: forked %d, then: resource temporarily unavailable", &children); err != nil || r.code() != 3 || children < 1 || children > 60 {
		t.Errorf("exit %d, %q, %q", r.code(), r.stdout, r.stderr)
	}
}

func TestProbeSeesItsWalls(t *testing.T) {
	cmd, out := command(t, "probe")
	unprivileged(t, cmd)
	must(t, os.Chmod(out, 0o777))
	must(t, os.Chmod(filepath.Dir(out), 0o755))
	in := strings.TrimPrefix(cmd.Env[len(cmd.Env)-2], "DRILL_IN=")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	address := listener.Addr().String()
	cmd.Env = append(cmd.Env, "FILEYARD_JOB_ID=j-1", "DRILL_DIAL="+address)
	r := finish(t, cmd, out)
	if r.code() != 0 {
		t.Fatalf("exit %d: %s", r.code(), r.stderr)
	}
	var seen report
	must(t, json.Unmarshal([]byte(r.stdout), &seen))
	if seen.Environment["FILEYARD_JOB_ID"] != "j-1" || seen.Dial[address] != "ok" || seen.Writable[out] != "ok" {
		t.Errorf("environment %v, dial %v, writable %v", seen.Environment, seen.Dial, seen.Writable)
	}
	if seen.Status["CapEff"] != "0000000000000000" || seen.Status["Seccomp"] == "" || seen.UID == 0 || seen.RootReadOnly {
		t.Errorf("status %v, uid %d, read-only %v", seen.Status, seen.UID, seen.RootReadOnly)
	}
	for name, want := range map[string]string{"setuid_root": "EPERM", "chroot": "EPERM", "mknod_device": "EPERM", "unshare_mounts": "EPERM", "mount": "EPERM"} {
		if seen.Syscalls[name] != want {
			t.Errorf("%s: %q", name, seen.Syscalls[name])
		}
	}
	if os.Getuid() == 0 && (seen.Writable[in] != "EACCES" || seen.Writable["/"] != "EACCES") {
		t.Errorf("writable: %v", seen.Writable)
	}
	if len(seen.Processes) == 0 || len(seen.Mounts) == 0 || seen.Tmp.Size == 0 || len(seen.Syscalls) != 18 || len(seen.Limits) != 4 {
		t.Errorf("something is missing: %s", r.stdout)
	}
	written, err := os.ReadFile(out + "/result.json")
	if err != nil || string(written) != strings.TrimSpace(r.stdout) {
		t.Errorf("result.json differs: %v", err)
	}
}

// TestChildReportsWhatHappened: the errno of the last call, the answer that all went well, and the signal of a kill.
func TestChildReportsWhatHappened(t *testing.T) {
	kill := call{syscall.SYS_KILL, [6]uintptr{0, uintptr(syscall.SIGCONT)}}
	bad := call{syscall.SYS_CLOSE, [6]uintptr{9999}}
	for want, calls := range map[string][]call{"ok": {bad, kill}, "errno 9": {kill, bad}} {
		if got := ending(inChild(calls)); got != want {
			t.Errorf("%s, expected %s", got, want)
		}
	}
	if got := ending(killedBy+31, nil); got != "killed by signal 31" {
		t.Error(got)
	}
}

// unprivileged takes root away from the drill, if the tests have it: it tries things that root could really do. The
// user is one that nobody else is, so that a limit of processes counts the drill's alone.
func unprivileged(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 64321, Gid: 64321}}
	}
}

func children(t *testing.T, pid int) []string {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	must(t, err)
	return strings.Fields(string(content))
}
