//go:build linux

// Ways out by what is open, and by a container's first process.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ownFiles are what is open, beside the three that every program has, and what they are.
func ownFiles() map[int]string {
	found := map[int]string{}
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, entry := range entries {
		number, _ := strconv.Atoi(entry.Name())
		target, err := os.Readlink("/proc/self/fd/" + entry.Name())
		// The runtime's own, and the directory that is being read.
		if err != nil || number < 3 || strings.HasPrefix(target, "anon_inode:") || strings.HasPrefix(target, "/proc/") {
			continue
		}
		found[number] = target
	}
	return found
}

func leakedFiles() string {
	for number, target := range ownFiles() {
		// Go opens this one itself, to learn how large a page is.
		if !strings.HasPrefix(target, "/sys/kernel/mm/") {
			return fmt.Sprintf("%s: %d is %s", escaped, number, target)
		}
	}
	return "denied: nothing is open"
}

// streams: nothing, or pipes, none of which is a file of the host's.
func streams() string {
	for number := 0; number < 3; number++ {
		target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", number))
		if err == nil && target != "/dev/null" && !strings.HasPrefix(target, "pipe:") {
			return fmt.Sprintf("%s: %d is %s", escaped, number, target)
		}
	}
	return "denied: pipes, or nothing"
}

func leakedDirectory() string {
	here := rootIdentity("/")
	for number := 3; number < 64; number++ {
		path := fmt.Sprintf("/proc/self/fd/%d/../../../../../../..", number)
		if there := rootIdentity(path); there != "" && there != here {
			return escaped + ": " + path
		}
	}
	return "denied: none leads elsewhere"
}

func rootIdentity(path string) string {
	var info syscall.Stat_t
	if syscall.Stat(path, &info) != nil {
		return ""
	}
	return fmt.Sprintf("%d:%d", info.Dev, info.Ino)
}

func workingDirectory() string {
	dir, err := syscall.Getwd()
	buffer := make([]byte, 4096)
	if n, plain := syscall.Getcwd(buffer); plain == nil && strings.HasPrefix(string(buffer[:n]), "(unreachable)") {
		return escaped + ": it is outside"
	}
	if there := rootIdentity("../../../../../../../.."); there != rootIdentity("/") {
		return escaped + ": from " + dir
	}
	return "denied: it is " + dir + " " + outcome(err)
}

func rootOfInit() string {
	here := rootIdentity("/")
	for _, path := range []string{"/proc/1/root", "/proc/1/cwd/../../../../.."} {
		if there := rootIdentity(path); there != "" && there != here {
			return escaped + ": " + path
		}
	}
	return "denied: it is this one"
}

func filesOfInit() string {
	entries, err := os.ReadDir("/proc/1/fd")
	for _, entry := range entries {
		target, _ := os.Readlink("/proc/1/fd/" + entry.Name())
		if number, _ := strconv.Atoi(entry.Name()); number > 2 && strings.HasPrefix(target, "/") && !strings.HasPrefix(target, "/proc/") {
			return escaped + ": " + target
		}
	}
	return "denied: " + outcome(err)
}

// takenFromInit asks for the first of its files that there may be, by the kernel rather than by a name.
func takenFromInit() string {
	init, _, errno := syscall.Syscall(sysPidfdOpen, 1, 0, 0)
	if errno != 0 {
		return denied("the call was made", errno, syscall.EPERM, syscall.EACCES, syscall.ENOSYS)
	}
	defer syscall.Close(int(init))
	return called(sysPidfdGetfd, init, 0, 0)
}

// writtenIntoInit writes to where no program has anything: a fault says that it would have been let.
func writtenIntoInit() string {
	vector := vectorOfOne()
	return called(sysProcessVMWritev, 1, vector, 1, vector, 1, 0)
}

func namespacesOfInit() string {
	for _, kind := range []string{"mnt", "pid", "net", "user"} {
		fd, err := syscall.Open("/proc/1/ns/"+kind, syscall.O_RDONLY, 0)
		if err != nil {
			continue
		}
		defer syscall.Close(fd)
		if found := called(sysSetns, uintptr(fd), 0); strings.HasPrefix(found, escaped) {
			return found + " " + kind
		}
	}
	return "denied: none can be joined"
}

// otherProcesses: there are its init, itself, and nobody.
func otherProcesses() string {
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err == nil && pid != 1 && pid != os.Getpid() {
			return fmt.Sprintf("%s: process %d", escaped, pid)
		}
	}
	return "denied: there is none"
}
