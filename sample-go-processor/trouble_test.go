// What goes wrong around a run, and what is said about it while it goes well.
package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestWrongInputs(t *testing.T) {
	empty, two := t.TempDir(), t.TempDir()
	os.Mkdir(filepath.Join(empty, "a directory is no input"), 0o755)
	for _, name := range []string{"a", "b"} {
		os.WriteFile(filepath.Join(two, name), nil, 0o644)
	}
	for _, c := range []struct {
		in, says string
		args     []string
	}{
		{empty, "found none", nil},
		{two, `found "a" and "b"`, nil},
		{filepath.Join(empty, "nowhere"), "no such file", nil},
		{two, "no such file", []string{filepath.Join(two, "c")}},
		{two, "not a regular file", []string{two}},
		{two, "at most two arguments", []string{"a", "b", "c"}},
		{two, "cannot write an output", []string{filepath.Join(two, "a"), filepath.Join(two, "no", "where")}},
	} {
		r := runIn(t, c.in, nil, c.args...)
		if r.code != exitFailed || !strings.Contains(r.stderr, c.says) || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%+v: exit %d, %q", c, r.code, r.stderr)
		}
	}
	out := t.TempDir()
	if r := runIn(t, empty, nil, filepath.Join(two, "a"), out); r.code != exitDone {
		t.Errorf("arguments: %d, %s", r.code, r.stderr)
	} else if _, err := os.Stat(filepath.Join(out, "result.json")); err != nil {
		t.Error(err)
	}
}

func TestTroubleThatPasses(t *testing.T) {
	for _, errno := range []error{syscall.EIO, syscall.ENOSPC, syscall.EMFILE} {
		if !isTemporary(fmt.Errorf("cannot: %w", &fs.PathError{Op: "read", Path: "x", Err: errno})) {
			t.Errorf("%v lasts", errno)
		}
	}
	for _, err := range []error{syscall.ENOENT, syscall.EACCES, syscall.EFBIG, io.ErrUnexpectedEOF} {
		if isTemporary(err) {
			t.Errorf("%v passes", err)
		}
	}
	// A read error is one, even where a decoder met it first and called the picture broken.
	source := &honestReader{from: io.MultiReader(bytes.NewReader(encoded(t, "image/png", halves(9, 9))[:40]), failing{})}
	if _, err := decode("image/png", source); err == nil || source.err != syscall.EIO {
		t.Errorf("got %v, remembered %v", err, source.err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, syscall.EIO }

type panicking struct{}

func (panicking) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("progress")) {
		panic("on purpose")
	}
	return len(p), nil
}

func TestPanicIsAFailure(t *testing.T) {
	in := t.TempDir()
	os.WriteFile(filepath.Join(in, "a"), []byte("a"), 0o644)
	var stderr bytes.Buffer
	code := processor{getenv: func(string) string { return "" }, stdout: panicking{}, stderr: &stderr, in: in, out: t.TempDir()}.run()
	if code != exitFailed || stderr.String() != "sample-go-processor: internal error: on purpose\n" {
		t.Errorf("exit %d, %q", code, stderr.String())
	}
}

func TestProgressIsThrottledAndRises(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out)
	clock := time.Unix(0, 0)
	p.now = func() time.Time { return clock }
	p.reading(1000, "counting words")
	for i := 0; i < 1000; i++ {
		clock = clock.Add(time.Millisecond)
		p.Write([]byte{0})
	}
	p.at(0.1, "writing results") // too soon to be said, and not a step back
	p.at(1, "done")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) < 9 || len(lines) > 12 || lines[0] != "fileyard:progress 0.00 counting words" || lines[len(lines)-1] != "fileyard:progress 1.00 done" {
		t.Errorf("said %q", lines)
	}
	for i := 1; i < len(lines); i++ {
		if lines[i][:22] <= lines[i-1][:22] {
			t.Errorf("%q after %q", lines[i], lines[i-1])
		}
	}
}
