// sample-go-processor looks at one file and says what is in it: size, digests and type of any file, counts of a
// text, columns of a table, colours and a thumbnail of a picture. It speaks fileyard's contracts `files` and `urls`,
// whichever its environment says, and reads its input once, front to back, in bounded memory. It never writes
// outside its output directory, never opens a socket but to the addresses it is given, and never keeps anything from
// one run to the next.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

const (
	exitDone     = 0
	exitFailed   = 1
	exitTryLater = 75 // EX_TEMPFAIL: fileyard runs the job again later
)

func main() {
	leaveWhenAsked()
	os.Exit(processor{
		args:   os.Args[1:],
		getenv: os.Getenv,
		stdout: os.Stdout,
		stderr: os.Stderr,
		in:     "/in",
		out:    "/out",
	}.run())
}

// processor is one run with everything it takes from the outside, so that tests can run it in a directory of theirs.
type processor struct {
	args           []string
	getenv         func(string) string
	stdout, stderr io.Writer
	in, out        string
}

// run does the whole job and returns the exit code. Whatever goes wrong inside becomes a message and a code.
func (p processor) run() (code int) {
	fmt.Fprintf(p.stdout, "sample-go-processor: start job=%s attempt=%s\n",
		oneLine(p.getenv("FILEYARD_JOB_ID")), oneLine(p.getenv("FILEYARD_ATTEMPT")))
	defer func() {
		if trouble := recover(); trouble != nil {
			fmt.Fprintf(p.stderr, "sample-go-processor: internal error: %v\n", trouble)
			code = exitFailed
		}
	}()
	if err := p.process(); err != nil {
		fmt.Fprintf(p.stderr, "sample-go-processor: %v\n", err)
		if isTemporary(err) {
			return exitTryLater
		}
		return exitFailed
	}
	return exitDone
}

func (p processor) process() error {
	opts, err := readOptions(p.getenv)
	if err != nil {
		return err
	}
	work, err := p.contract()
	if err != nil {
		return err
	}
	name := p.getenv("FILEYARD_INPUT_NAME")
	if given, ok := work.(directories); ok && name == "" {
		name = filepath.Base(given.input)
	}
	progress := newProgress(p.stdout)
	input, size, err := work.open()
	if err != nil {
		return err
	}
	defer input.Close()
	res, thumbnail, err := inspect(input, size, name, opts, progress)
	if err != nil {
		return err
	}
	progress.at(0.97, "writing results")
	if err := writeOutputs(work, name, res, thumbnail); err != nil {
		return err
	}
	progress.at(1, "done")
	fmt.Fprintf(p.stdout, "sample-go-processor: done kind=%s type=%s size=%d\n", res.Kind, res.Type, res.Size)
	return nil
}

// paths says where the input is and where outputs go: from the arguments if there are any, else by the contract.
func (p processor) paths() (input, out string, err error) {
	switch len(p.args) {
	case 0:
		input, err = onlyFile(p.in)
		return input, p.out, err
	case 1:
		return p.args[0], p.out, nil
	case 2:
		return p.args[0], p.args[1], nil
	}
	return "", "", fmt.Errorf("expected at most two arguments, INPUT and OUT, got %d", len(p.args))
}

// onlyFile is the one regular file in dir.
func onlyFile(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("cannot look for the input: %w", err)
	}
	found := ""
	for _, entry := range entries {
		if !entry.Type().IsRegular() {
			continue
		}
		if found != "" {
			return "", fmt.Errorf("expected one file in %s, found %q and %q", dir, found, entry.Name())
		}
		found = entry.Name()
	}
	if found == "" {
		return "", fmt.Errorf("expected one file in %s, found none", dir)
	}
	return filepath.Join(dir, found), nil
}

// isTemporary tells trouble of the machine, which may be gone in a minute, from trouble with the file.
func isTemporary(err error) bool {
	var passes passing
	if errors.As(err, &passes) {
		return true
	}
	for _, passing := range []error{
		syscall.EAGAIN, syscall.EBUSY, syscall.EINTR, syscall.EIO, syscall.EMFILE, syscall.ENFILE,
		syscall.ENOMEM, syscall.ENOSPC, syscall.ESTALE, syscall.ETIMEDOUT,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// leaveWhenAsked ends the program on SIGTERM at once. What it wrote so far does not count, so nothing is cleaned
// up; "try later" is the honest code, should anyone other than fileyard have stopped the container.
func leaveWhenAsked() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-asked
		fmt.Fprintln(os.Stderr, "sample-go-processor: stopped before the work was done")
		os.Exit(exitTryLater)
	}()
}
