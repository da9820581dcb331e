//go:build linux

// Each output is of the kind that was asked for.
package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOutputs(t *testing.T) {
	r := drill(t,
		"write", "sub/a.txt", "text", "result", "{not json", "fill", "full", "3MiB", "sparse", "holes", "1GiB", "files", "12",
		"symlink", "link", "/etc/passwd", "hardlink", "second", "first", "fifo", "pipe", "socket", "sock", "badname",
		"mkdir", "empty", "chmod", "sub/a.txt", "4000", "write", "../"+"escaped", "x")
	if r.code() != 0 {
		t.Fatalf("exit %d: %s", r.code(), r.stderr)
	}
	for name, want := range map[string]fs.FileMode{
		"full": 0, "holes": 0, "file-000001": 0, "file-000012": 0, "result.json": 0, "bad-\xff\xfe-name": 0, "../escaped": 0,
		"link": fs.ModeSymlink, "pipe": fs.ModeNamedPipe, "sock": fs.ModeSocket, "empty": fs.ModeDir,
	} {
		info, err := os.Lstat(r.out + "/" + name)
		if err != nil || info.Mode().Type() != want {
			t.Errorf("%q: %v, %v", name, info, err)
		}
	}
	os.Remove(r.out + "/../escaped")
	if info, err := os.Lstat(r.out + "/sub/a.txt"); err != nil || info.Mode() != fs.ModeSetuid {
		t.Errorf("chmod: %v, %v", info, err)
	}
	if target, _ := os.Readlink(r.out + "/link"); target != "/etc/passwd" {
		t.Errorf("the link leads to %q", target)
	}
	for name, links := range map[string]uint64{"first": 2, "second": 2, "full": 1} {
		if got := uint64(stat(t, r.out+"/"+name).Nlink); got != links {
			t.Errorf("%s has %d links", name, got)
		}
	}
	full, holes := stat(t, r.out+"/full"), stat(t, r.out+"/holes")
	if full.Size != 3<<20 || full.Blocks*512 < 3<<20 {
		t.Errorf("full: %d bytes in %d blocks", full.Size, full.Blocks)
	}
	if holes.Size != 1<<30 || holes.Blocks*512 > 1<<20 {
		t.Errorf("holes: %d bytes in %d blocks", holes.Size, holes.Blocks)
	}
	if content, _ := os.ReadFile(r.out + "/result.json"); string(content) != "{not json" {
		t.Errorf("result.json is %q", content)
	}
}

func TestDeepGoesBeyondPathMax(t *testing.T) {
	const levels = 2500 // 5,000 bytes of path, the kernel takes 4,095
	r := drill(t, "deep", "2500", "write", "after", "x")
	if r.code() != 0 {
		t.Fatalf("exit %d: %s", r.code(), r.stderr)
	}
	back, err := os.Getwd()
	must(t, err)
	defer os.Chdir(back)
	must(t, os.Chdir(r.out))
	for i := 0; i < levels; i++ {
		must(t, syscall.Chdir("d"))
	}
	if _, err := os.Stat("leaf"); err != nil {
		t.Error(err)
	}
	must(t, os.Chdir(back))
	must(t, os.RemoveAll(filepath.Join(r.out, "d")))
}

// TestFileSizeLimit: what runs over RLIMIT_FSIZE dies by SIGXFSZ, as it would in a container with that limit.
func TestFileSizeLimit(t *testing.T) {
	for _, verbs := range []string{"fill big 3MiB", "sparse big 3MiB"} {
		cmd, out := command(t)
		cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", "ulimit -f 2048; exec \"$0\" " + verbs, exe(t)}
		r := finish(t, cmd, out)
		if s := r.state.Sys().(syscall.WaitStatus); !s.Signaled() || s.Signal() != syscall.SIGXFSZ {
			t.Errorf("%s: %v, %s", verbs, r.state, r.stderr)
		}
	}
}

func TestParse(t *testing.T) {
	for written, want := range map[string]int64{"0": 0, "17": 17, "2KiB": 2048, "64MiB": 64 << 20, "3GiB": 3 << 30} {
		if got, err := size(written); err != nil || got != want {
			t.Errorf("%s: %d, %v", written, got, err)
		}
	}
	for _, written := range []string{"", "-1", "1.5GiB", "MiB", "64MB", "9999999999GiB"} {
		if got, err := size(written); err == nil {
			t.Errorf("%q is %d", written, got)
		}
	}
	if text := usage(); !strings.Contains(text, "hardlink NAME TARGET ") {
		t.Errorf("usage: %s", text)
	}
}

// TestReadmeListsTheVerbs, each with its arguments.
func TestReadmeListsTheVerbs(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	must(t, err)
	for _, verb := range verbs() {
		if call := strings.TrimSpace(verb.name + " " + verb.args); !strings.Contains(string(readme), "`"+call+"`") {
			t.Errorf("README.md lacks `%s`", call)
		}
	}
}

func exe(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	must(t, err)
	return path
}

func stat(t *testing.T, path string) syscall.Stat_t {
	t.Helper()
	var s syscall.Stat_t
	must(t, syscall.Lstat(path, &s))
	return s
}
