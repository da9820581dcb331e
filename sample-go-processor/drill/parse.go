//go:build linux

// Reads the list of verbs, all of it before any is done.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

type step struct {
	verb verb
	args []string
}

func parse(words []string) ([]step, error) {
	var steps []step
	for len(words) > 0 {
		verb, err := find(words[0])
		if err != nil {
			return nil, err
		}
		n := verb.arity()
		if len(words) <= n {
			return nil, fmt.Errorf("%s needs %s", verb.name, verb.args)
		}
		steps = append(steps, step{verb, words[1 : 1+n]})
		words = words[1+n:]
	}
	return steps, nil
}

// parseScript reads the only file in dir: a verb a line, its last argument going to the line's end. Empty lines and
// those with a # in front are left out.
func parseScript(dir string) ([]step, error) {
	script, err := readScript(dir)
	if err != nil {
		return nil, err
	}
	return parseLines(string(script))
}

func readScript(dir string) ([]byte, error) {
	if address("INPUT") != "" {
		return fetchScript()
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if len(entries) != 1 {
		return nil, fmt.Errorf("no verbs, and %d files in %s instead of one with verbs in it", len(entries), dir)
	}
	return os.ReadFile(filepath.Join(dir, entries[0].Name()))
}

func parseLines(script string) ([]step, error) {
	var steps []step
	for _, line := range strings.Split(script, "\n") {
		name, rest := word(line)
		if name == "" || name[0] == '#' {
			continue
		}
		verb, err := find(name)
		if err != nil {
			return nil, err
		}
		var args []string
		for n := verb.arity(); n > 0; n-- {
			arg := rest
			if n > 1 {
				arg, rest = word(rest)
			}
			if arg == "" {
				return nil, fmt.Errorf("%s needs %s", verb.name, verb.args)
			}
			args = append(args, arg)
		}
		if verb.arity() == 0 && rest != "" {
			return nil, fmt.Errorf("%s takes no argument, got %q", verb.name, rest)
		}
		steps = append(steps, step{verb, args})
	}
	return steps, nil
}

// word parts a line into its first word and the rest, both without blanks around them.
func word(line string) (first, rest string) {
	line = strings.TrimSpace(line)
	if at := strings.IndexFunc(line, unicode.IsSpace); at >= 0 {
		return line[:at], strings.TrimSpace(line[at:])
	}
	return line, ""
}

func find(name string) (verb, error) {
	for _, verb := range verbs() {
		if verb.name == name {
			return verb, nil
		}
	}
	return verb{}, fmt.Errorf("unknown verb %q", name)
}

// size reads 123, 64KiB, 64MiB or 1GiB.
func size(written string) (int64, error) {
	digits, unit := written, int64(1)
	for suffix, worth := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40} {
		if strings.HasSuffix(written, suffix) {
			digits, unit = strings.TrimSuffix(written, suffix), worth
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > 1<<62/unit {
		return 0, fmt.Errorf("%q is not a size such as 100, 64MiB or 1GiB", written)
	}
	return n * unit, nil
}

func number(written string) (int, error) {
	n, err := strconv.Atoi(written)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is not a whole number", written)
	}
	return n, nil
}
