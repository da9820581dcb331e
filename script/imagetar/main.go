// imagetar packs one static program into an image that `docker load` takes: a single layer with that program in it,
// started as an unprivileged user. The same program gives the same bytes, so the same image id. It needs no Docker,
// never runs the program, and never reads anything but it.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	program := flag.String("program", "", "the static program to pack")
	name := flag.String("name", "", "the image's name, as in fileyard/sample:latest")
	arch := flag.String("arch", "", "the program's architecture, as Go calls it")
	out := flag.String("o", "", "the tar file to write")
	flag.Parse()
	if *program == "" || *name == "" || *arch == "" || *out == "" || flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "usage: imagetar -program FILE -name NAME:TAG -arch ARCH -o FILE.tar")
		os.Exit(2)
	}
	if err := run(*program, *name, *arch, *out); err != nil {
		fmt.Fprintln(os.Stderr, "imagetar:", err)
		os.Exit(1)
	}
}

func run(program, name, arch, out string) error {
	body, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	packed, err := image{name: name, arch: arch, entry: filepath.Base(program), program: body}.pack()
	if err != nil {
		return err
	}
	return os.WriteFile(out, packed, 0o644)
}
