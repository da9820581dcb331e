//go:build linux

// The verbs that take: memory and processes.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"syscall"
)

// eat takes memory in pieces that the garbage collector knows nothing about, and writes to each page.
func eat(args []string) error {
	left, err := size(args[0])
	if err != nil {
		return err
	}
	page := int64(os.Getpagesize())
	for left > 0 {
		piece := int64(64 << 20)
		if left < piece {
			piece = left
		}
		memory, err := syscall.Mmap(-1, 0, int(piece), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			return fmt.Errorf("with %d bytes to go: %w", left, err)
		}
		for at := int64(0); at < piece; at += page {
			memory[at] = 1
		}
		left -= piece
	}
	_, err = fmt.Printf("drill: ate %s\n", args[0])
	return err
}

// oomChild lets a child eat that has asked to be the one the kernel kills. How the child ended is said; the drill
// goes on.
func oomChild(args []string) error {
	if _, err := size(args[0]); err != nil {
		return err
	}
	child := exec.Command("/proc/self/exe", "eat", args[0])
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	if err := child.Start(); err != nil {
		return err
	}
	score := fmt.Sprintf("/proc/%d/oom_score_adj", child.Process.Pid)
	if err := os.WriteFile(score, []byte("1000"), 0); err != nil {
		fmt.Fprintf(os.Stderr, "drill: the child is no likelier to be killed: %v\n", err)
	}
	child.Wait()
	_, err := fmt.Printf("drill: child ended: %v\n", child.ProcessState)
	return err
}

// mostForks stops `fork 0` where nothing else does: without a limit it is not a container's machine that it hurts.
const mostForks = 10_000

// forkMany starts children with a bare clone, not with exec: near the pids limit Go's runtime could not start the
// threads that takes, and would die instead of reporting. For the same reason nothing here allocates much.
func forkMany(args []string) error {
	wanted, err := number(args[0])
	if err != nil {
		return err
	}
	most := wanted
	if wanted == 0 {
		most = mostForks
	}
	debug.SetGCPercent(-1)
	for n := 0; n < most; n++ {
		if errno := forkWaiting(uintptr(os.Getpid())); errno != 0 {
			fmt.Printf("drill: forked %d, then: %v\n", n, errno)
			os.Exit(3)
		}
	}
	debug.SetGCPercent(100)
	_, err = fmt.Printf("drill: forked %d\n", most)
	return err
}
