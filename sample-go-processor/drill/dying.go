//go:build linux

// Dying like a C program. Go's runtime handles every signal, so a Go program that is sent SIGSEGV or runs into its
// file size limit exits 2 or gets an error instead; the kernel's own disposition has to be put back by hand.
package main

import (
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"
)

// kernelAction is the kernel's struct sigaction; all zeros is SIG_DFL.
type kernelAction struct {
	handler, flags, restorer uintptr
	mask                     uint64
}

func defaultAction(signal syscall.Signal) error {
	var action kernelAction
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(signal), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// standInForC lets an output over RLIMIT_FSIZE end the drill by SIGXFSZ, as it would end most programs.
func standInForC() {
	if err := defaultAction(syscall.SIGXFSZ); err != nil {
		fmt.Fprintf(os.Stderr, "drill: SIGXFSZ keeps Go's handler: %v\n", err)
	}
}

// dieBy ends the drill by the signal itself. The kernel spares a container's first process from signals of its own;
// under an init, as fileyard runs it, this is not the first.
func dieBy(args []string) error {
	n, err := number(args[0])
	if err != nil || n < 1 || n > 64 {
		return fmt.Errorf("%q is not a signal's number", args[0])
	}
	noCore := syscall.Rlimit{}
	syscall.Setrlimit(syscall.RLIMIT_CORE, &noCore)
	const setDumpable = 4 // PR_SET_DUMPABLE: no core either where one goes through a pipe
	syscall.RawSyscall(syscall.SYS_PRCTL, setDumpable, 0, 0)
	signal := syscall.Signal(n)
	if signal != syscall.SIGKILL && signal != syscall.SIGSTOP {
		if err := defaultAction(signal); err != nil {
			return err
		}
	}
	if err := syscall.Kill(os.Getpid(), signal); err != nil {
		return err
	}
	time.Sleep(time.Second)
	fmt.Fprintf(os.Stderr, "drill: survived signal %d, as process %d\n", n, os.Getpid())
	os.Exit(128 + n)
	return nil
}
