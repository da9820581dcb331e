// What a user may choose: the job's params, as fileyard hands them over in the environment.
package main

import (
	"fmt"
	"strconv"
	"strings"
)

type options struct {
	top       int // how many of the most frequent words are listed
	thumbnail int // the longer side of the thumbnail, in pixels
}

func readOptions(getenv func(string) string) (options, error) {
	var opts options
	var err error
	if opts.top, err = whole(getenv, "FILEYARD_PARAM_TOP", 0, 1000, 10); err != nil {
		return opts, err
	}
	opts.thumbnail, err = whole(getenv, "FILEYARD_PARAM_THUMBNAIL", 1, 1024, 256)
	return opts, err
}

func whole(getenv func(string) string, name string, least, most, otherwise int) (int, error) {
	written := getenv(name)
	if written == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(written)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%s is %q, expected a whole number from %d to %d", name, written, least, most)
	}
	return n, nil
}

// oneLine makes foreign text safe to print inside a log line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}
