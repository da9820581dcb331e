//go:build linux

// A bare fork. Between it and its end the child may only make raw system calls: it has one thread of a runtime that
// had several, so it must not allocate, grow its stack, be scheduled, or call anything that could.
package main

import (
	"syscall"
	"unsafe"
)

const (
	prSetDeathSignal = 1 // PR_SET_PDEATHSIG
	killedBy         = 1000
)

// forkWaiting leaves a child behind that waits until the drill, which is process self, ends, and dies then. Should
// the drill end before the child could ask for that, the child sees that its parent is another, and ends by itself.
//
//go:noinline
func forkWaiting(self uintptr) syscall.Errno {
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 || pid != 0 {
		return errno
	}
	syscall.RawSyscall(syscall.SYS_PRCTL, prSetDeathSignal, uintptr(syscall.SIGKILL), 0)
	if parent, _, _ := syscall.RawSyscall(syscall.SYS_GETPPID, 0, 0, 0); parent != self {
		for {
			syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	for {
		syscall.RawSyscall6(syscall.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
	}
}

// call is one system call with its arguments.
type call struct {
	number uintptr
	args   [6]uintptr
}

// inChild makes the calls one after the other in a child and returns the last one's errno, or killedBy plus the
// signal if the child was killed for it. What a call changes dies with the child; and the child has only one
// thread, as some calls want it.
//
//go:noinline
func inChild(calls []call) (int, error) {
	var last syscall.Errno
	pid, _, errno := syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0, 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	if pid == 0 {
		for i := 0; i < len(calls); i++ {
			c := &calls[i]
			_, _, last = syscall.RawSyscall6(c.number, c.args[0], c.args[1], c.args[2], c.args[3], c.args[4], c.args[5])
		}
		for {
			syscall.RawSyscall(syscall.SYS_EXIT_GROUP, uintptr(last), 0, 0)
		}
	}
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(int(pid), &status, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return 0, err
		}
		break
	}
	if status.Signaled() {
		return killedBy + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}

func at(s string) uintptr {
	pointer, err := syscall.BytePtrFromString(s)
	if err != nil {
		panic(err)
	}
	keep = append(keep, pointer)
	return uintptr(unsafe.Pointer(pointer))
}

// keep holds what system calls are given as numbers, so that it is not collected.
var keep []*byte
