// How the program is given its work: by directories (`files`) or by addresses (`urls`). Its environment says which.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const resultName = "result.json"

// contract is where the input comes from and where everything else goes.
type contract interface {
	// open begins the input, and says how long it is.
	open() (io.ReadCloser, int64, error)
	// give hands one output over, or the result under resultName.
	give(name string, content []byte) error
}

// contract is the one that the environment says, unless paths are given as arguments.
func (p processor) contract() (contract, error) {
	if len(p.args) == 0 && p.getenv("FILEYARD_INPUT_URL") != "" {
		return newURLs(p.getenv)
	}
	input, out, err := p.paths()
	return directories{input, out}, err
}

type directories struct{ input, out string }

func (d directories) open() (io.ReadCloser, int64, error) {
	file, err := os.Open(d.input)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot open the input: %w", err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q is not a regular file", d.input)
	}
	if err != nil {
		file.Close()
		return nil, 0, fmt.Errorf("cannot open the input: %w", err)
	}
	return file, info.Size(), nil
}

func (d directories) give(name string, content []byte) error {
	if err := os.WriteFile(filepath.Join(d.out, name), content, 0o644); err != nil {
		return fmt.Errorf("cannot write an output: %w", err)
	}
	return nil
}
