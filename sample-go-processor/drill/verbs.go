//go:build linux

// Every verb there is, with its arguments and its one line of help; and the plain ones, which talk, wait and leave.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

type verb struct {
	name, args, what string
	do               func(args []string) error
}

func (v verb) arity() int { return len(strings.Fields(v.args)) }

func verbs() []verb {
	return []verb{
		{"say", "TEXT", "a line on standard output", say},
		{"err", "TEXT", "a line on standard error", sayErr},
		{"spew", "SIZE", "that many bytes of numbered lines; the first is `first`, the last `last`", spew},
		{"sleep", "DURATION", "such as 500ms, 10s, 2m", sleep},
		{"wait", "", "for ever; SIGTERM ends the drill with 0, whichever verb is under way", func([]string) error { return forever() }},
		{"stubborn", "", "for ever; SIGTERM is ignored from the drill's first verb on", func([]string) error { return forever() }},
		{"exit", "CODE", "leave", exit},
		{"flaky", "N", "exit 75 unless FILEYARD_ATTEMPT is at least N", flaky},
		{"signal", "N", "die by that signal", dieBy},
		{"write", "NAME TEXT", "an output with exactly that text; makes its directories", write},
		{"result", "JSON", "result.json, as given, be it valid or not", func(args []string) error { return write([]string{"result.json", args[0]}) }},
		{"progress", "TEXT", "how far it is, such as `0.4 resizing`", progress},
		{"get", "RANGE", "by `urls`: GET the input, `all` or `bytes=0-9`; say the status and what came", get},
		{"put", "NAME SIZE DURATION", "by `urls`: PUT that many bytes in that time; say the status", put},
		{"pipe", "NAME", "by `urls`: PUT the input as an output while it comes; say its SHA-256", pipe},
		{"request", "METHOD URL", "any request, to anywhere; say the status and what came", request},
		{"fill", "NAME SIZE", "an output of that many bytes, really written", fill},
		{"sparse", "NAME SIZE", "an output of that size without any bytes", sparse},
		{"files", "N", "outputs file-000001 to file-N", files},
		{"deep", "N", "an output in N nested directories called d", deep},
		{"mkdir", "NAME", "an empty directory", mkdir},
		{"chmod", "NAME MODE", "the octal mode of an output", chmod},
		{"symlink", "NAME TARGET", "a symbolic link; the target is taken as it is", symlink},
		{"hardlink", "NAME TARGET", "a second name for an output, which is made if it is not there", hardlink},
		{"fifo", "NAME", "a named pipe", fifo},
		{"socket", "NAME", "a socket", socket},
		{"badname", "", "an output whose name is not UTF-8", badName},
		{"eat", "SIZE", "take that much memory, touch it and keep it", eat},
		{"oomchild", "SIZE", "the same in a child, which is the one to be killed; then go on", oomChild},
		{"fork", "N", "N children that wait; 0: until it fails. A failure is reported and exits 3", forkMany},
		{"dial", "ADDRESS", "say whether a TCP connection to HOST:PORT can be had; then go on", sayDial},
		{"ask", "ADDRESS", "say whether a datagram to HOST:PORT is answered; then go on", sayAsk},
		{"resolve", "NAME", "say which addresses a name has; then go on", sayResolve},
		{"listen", "PORT", "answer connections and datagrams there, and say on which address; then go on", listen},
		{"probe", "", "say what this container may do, as JSON, and write it as result.json", probe},
		{"escape", "", "try known ways out of a container, say what stopped each, as JSON, and write it as result.json", escape},
	}
}

func say(args []string) error {
	_, err := fmt.Println(args[0])
	return err
}

func sayErr(args []string) error {
	_, err := fmt.Fprintln(os.Stderr, args[0])
	return err
}

// spew writes exactly SIZE bytes, unless that is too few for the first and the last line.
func spew(args []string) error {
	left, err := size(args[0])
	if err != nil {
		return err
	}
	const first, last = "first\n", "last\n"
	out := bufio.NewWriterSize(os.Stdout, 64<<10)
	out.WriteString(first)
	left -= int64(len(first) + len(last))
	for n := 1; left > 0; n++ {
		line := fmt.Sprintf("line %012d %s\n", n, strings.Repeat("x", 45)) // 64 bytes
		if int64(len(line)) > left {
			line = strings.Repeat("x", int(left)-1) + "\n"
		}
		if _, err := out.WriteString(line); err != nil {
			return err
		}
		left -= int64(len(line))
	}
	out.WriteString(last)
	return out.Flush()
}

func sleep(args []string) error {
	d, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	time.Sleep(d)
	return nil
}

func exit(args []string) error {
	code, err := number(args[0])
	if err != nil || code > 255 {
		return fmt.Errorf("%q is not an exit code", args[0])
	}
	os.Exit(code)
	return nil
}

func flaky(args []string) error {
	good, err := number(args[0])
	if err != nil {
		return err
	}
	if attempt, err := strconv.Atoi(os.Getenv("FILEYARD_ATTEMPT")); err != nil || attempt < good {
		fmt.Fprintf(os.Stderr, "drill: attempt %q fails, %d will not\n", os.Getenv("FILEYARD_ATTEMPT"), good)
		os.Exit(75)
	}
	return nil
}
