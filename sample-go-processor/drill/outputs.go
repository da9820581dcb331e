//go:build linux

// The verbs that make outputs: proper ones, and every kind a collector must refuse. Names are below /out; one that
// begins with a slash is taken as it is, so that a test can try to write elsewhere.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

func place(name string) string {
	if strings.HasPrefix(name, "/") {
		return name
	}
	return outDir() + "/" + name // not cleaned: `..` is the test's to try
}

// placed is place, with the directories on the way made.
func placed(name string) (string, error) {
	path := place(name)
	return path, os.MkdirAll(filepath.Dir(path), 0o755)
}

func write(args []string) error {
	switch {
	case address("OUTPUT") == "":
	case args[0] == "result.json":
		return mustSend("PUT", address("RESULT"), []byte(args[1]))
	default:
		return mustSend("PUT", output(args[0]), []byte(args[1]))
	}
	path, err := placed(args[0])
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(args[1]), 0o644)
}

func fill(args []string) error {
	left, err := size(args[1])
	if err != nil {
		return err
	}
	path, err := placed(args[0])
	if err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	piece := bytes.Repeat([]byte("fileyard drill. "), 64<<10) // 1 MiB
	for left > 0 {
		if left < int64(len(piece)) {
			piece = piece[:left]
		}
		if _, err := file.Write(piece); err != nil {
			return err
		}
		left -= int64(len(piece))
	}
	return file.Close()
}

func sparse(args []string) error {
	n, err := size(args[1])
	if err != nil {
		return err
	}
	path, err := placed(args[0])
	if err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Truncate(n)
}

func files(args []string) error {
	n, err := number(args[0])
	for i := 1; i <= n && err == nil; i++ {
		err = write([]string{fmt.Sprintf("file-%06d", i), fmt.Sprintf("output %d\n", i)})
	}
	return err
}

// deep steps down as it goes: the whole path may be longer than the kernel takes.
func deep(args []string) error {
	n, err := number(args[0])
	if err != nil {
		return err
	}
	if err := os.Chdir(outDir()); err != nil {
		return err
	}
	defer os.Chdir("/")
	for i := 0; i < n; i++ {
		if err := syscall.Mkdir("d", 0o755); err != nil {
			return err
		}
		if err := syscall.Chdir("d"); err != nil {
			return err
		}
	}
	return os.WriteFile("leaf", []byte("deep down\n"), 0o644)
}

func mkdir(args []string) error { return os.MkdirAll(place(args[0]), 0o755) }

func chmod(args []string) error {
	mode, err := strconv.ParseUint(args[1], 8, 12)
	if err != nil {
		return fmt.Errorf("%q is not an octal mode", args[1])
	}
	return syscall.Chmod(place(args[0]), uint32(mode)) // os.Chmod has its own idea of the upper bits
}

func symlink(args []string) error {
	path, err := placed(args[0])
	if err != nil {
		return err
	}
	return os.Symlink(args[1], path)
}

func hardlink(args []string) error {
	path, err := placed(args[0])
	if err != nil {
		return err
	}
	if _, err := os.Lstat(place(args[1])); errors.Is(err, fs.ErrNotExist) {
		if err := write([]string{args[1], "linked twice\n"}); err != nil {
			return err
		}
	}
	return os.Link(place(args[1]), path)
}

func fifo(args []string) error {
	path, err := placed(args[0])
	if err != nil {
		return err
	}
	return syscall.Mkfifo(path, 0o644)
}

// socket leaves a bound socket behind; nobody listens.
func socket(args []string) error {
	path, err := placed(args[0])
	if err != nil {
		return err
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	return syscall.Bind(fd, &syscall.SockaddrUnix{Name: path})
}

func badName([]string) error { return write([]string{"bad-\xff\xfe-name", "whose name is it\n"}) }
