//go:build linux

// Tries known ways out of a container, each by its name, and says of each what stopped it. What succeeds says ESCAPED, and
// changes nothing: whatever is written is what was read before, or goes to where a host would not look.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

const (
	escaped     = "ESCAPED"
	ptraceSeize = 0x4206
)

// escapes has them in the order in which they became known.
func escapes() map[string]func() string {
	return map[string]func() string{
		"shared_init_program": overwriteInitProgram, // CVE-2019-5736
		"own_program":         overwriteOwnProgram,  // the same, by a program that is the runtime
		"leaked_directory":    leakedDirectory,      // CVE-2024-21626
		"leaked_files":        leakedFiles,          // CVE-2016-9962, and others since
		"working_directory":   workingDirectory,     // CVE-2024-21626, by an image
		"root_of_init":        rootOfInit,           // /proc/1/root and /proc/1/cwd lead where init is
		"memory_of_init":      func() string { return opened("/proc/1/mem", os.O_RDWR) },
		"files_of_init":       filesOfInit,
		"release_agent":       releaseAgent,                                                     // CVE-2022-0492
		"core_pattern":        func() string { return writes("/proc/sys/kernel/core_pattern") }, // CVE-2025-52881
		"modprobe":            func() string { return writes("/proc/sys/kernel/modprobe") },
		"uevent_helper":       func() string { return writes("/sys/kernel/uevent_helper") },
		"sysrq":               func() string { return opened("/proc/sysrq-trigger", os.O_WRONLY) }, // CVE-2025-31133
		"binfmt_misc":         func() string { return opened("/proc/sys/fs/binfmt_misc/register", os.O_WRONLY) },
		"kernel_memory":       func() string { return first(opened("/proc/kcore", os.O_RDONLY), opened("/dev/mem", os.O_RDONLY)) },
		"kernel_keys":         func() string { return reads("/proc/keys") },
		"kernel_timers":       func() string { return reads("/proc/timer_list") },
		"console":             func() string { return opened("/dev/console", os.O_RDWR) }, // CVE-2025-52565
		"disks":               disks,
		"control_groups":      controlGroups,
		"sockets_of_the_host": socketsOfTheHost,
		"handles":             openByHandle, // "shocker"
		"namespaces_of_init":  namespacesOfInit,
		"new_namespaces":      newNamespaces,
		"other_processes":     otherProcesses,
		"trace_init":          func() string { return called(syscall.SYS_PTRACE, ptraceSeize, 1) }, // it does not stop
		"keyrings":            func() string { return called(syscall.SYS_KEYCTL, 0, ^uintptr(2)) },
		"io_uring":            func() string { return called(sysIoUringSetup, 1, zeros(120)) },
		"remount_root":        remountRoot,
		"mount_proc":          func() string { return called(syscall.SYS_MOUNT, at("proc"), at("/proc"), at("proc")) },
		"chroot":              func() string { return called(syscall.SYS_CHROOT, at("/")) },
		"device_node":         deviceNode,
		"become_root":         func() string { return called(syscall.SYS_SETUID, 0) },
		"load_module":         func() string { return called(syscall.SYS_INIT_MODULE, zeros(16), 16, at("")) },
	}
}

func escape([]string) error {
	found := map[string]string{}
	for name, try := range escapes() {
		found[name] = try()
	}
	encoded, err := json.Marshal(found)
	if err != nil {
		return err
	}
	fmt.Println(string(encoded))
	return write([]string{"result.json", string(encoded)})
}

// denied is what an error says; without one something was possible.
func denied(what string, err error) string {
	if err == nil {
		return escaped + ": " + what
	}
	return "denied: " + outcome(err)
}

func opened(path string, flags int) string {
	file, err := os.OpenFile(path, flags, 0)
	if err == nil {
		file.Close()
	}
	return denied("opened "+path, err)
}

// reads: an empty file is a masked one.
func reads(path string) string {
	content, err := os.ReadFile(path)
	if err == nil && len(content) == 0 {
		return "denied: empty"
	}
	return denied("read "+path, err)
}

// writes what is there already.
func writes(path string) string {
	before, _ := os.ReadFile(path)
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = file.Write(before)
		file.Close()
	}
	return denied("wrote "+path, err)
}

func first(outcomes ...string) string {
	for _, outcome := range outcomes {
		if strings.HasPrefix(outcome, escaped) {
			return outcome
		}
	}
	return outcomes[0]
}

func called(number uintptr, arguments ...uintptr) string {
	var six [6]uintptr
	copy(six[:], arguments)
	how := ending(inChild([]call{{number, six}}))
	if how == "ok" {
		return escaped + ": the call was made"
	}
	return "denied: " + how
}

func overwriteInitProgram() string { return opened("/proc/1/exe", os.O_WRONLY) }

func overwriteOwnProgram() string { return opened("/proc/self/exe", os.O_WRONLY) }

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

func releaseAgent() string {
	agents, _ := filepath.Glob("/sys/fs/cgroup/*/release_agent")
	for _, agent := range append(agents, "/sys/fs/cgroup/release_agent") {
		if found := opened(agent, os.O_WRONLY); strings.HasPrefix(found, escaped) {
			return found
		}
	}
	return "denied: none can be written"
}

// controlGroups: no limit of its own can be raised.
func controlGroups() string {
	for _, pattern := range []string{"memory/memory.limit_in_bytes", "pids/pids.max", "memory.max", "pids.max", "cgroup.procs", "*/cgroup.procs"} {
		files, _ := filepath.Glob("/sys/fs/cgroup/" + pattern)
		for _, file := range files {
			if found := opened(file, os.O_WRONLY); strings.HasPrefix(found, escaped) {
				return found
			}
		}
	}
	return "denied: none can be written"
}

func disks() string {
	entries, err := os.ReadDir("/dev")
	for _, entry := range entries {
		if info, err := entry.Info(); err == nil && info.Mode()&os.ModeDevice != 0 && info.Mode()&os.ModeCharDevice == 0 {
			return escaped + ": /dev/" + entry.Name()
		}
	}
	return "denied: there is none " + outcome(err)
}

func socketsOfTheHost() string {
	for _, path := range []string{"/var/run/docker.sock", "/run/containerd/containerd.sock", "/run/systemd/private", "/run/dbus/system_bus_socket"} {
		if _, err := os.Stat(path); err == nil {
			return escaped + ": " + path
		}
	}
	// Abstract ones belong to a network namespace.
	content, _ := os.ReadFile("/proc/net/unix")
	if lines := strings.Count(string(content), "\n"); lines > 1 {
		return fmt.Sprintf("%s: %d sockets in /proc/net/unix", escaped, lines-1)
	}
	return "denied: there is none"
}

// openByHandle asks for the second inode of a file system, as its root mostly is.
func openByHandle() string {
	handle := make([]byte, 8+8) // its length, its type, and what is in it
	handle[0], handle[4], handle[8] = 8, 1, 2
	keep = append(keep, &handle[0])
	root, err := syscall.Open("/", syscall.O_RDONLY, 0)
	if err != nil {
		return denied("", err)
	}
	defer syscall.Close(root)
	return called(sysOpenByHandleAt, uintptr(root), uintptr(unsafe.Pointer(&handle[0])), 0)
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

func newNamespaces() string {
	kinds := map[string]uintptr{"user": 0x10000000, "mnt": 0x00020000, "pid": 0x20000000, "net": 0x40000000, "cgroup": 0x02000000}
	for kind, flag := range kinds {
		if found := first(called(syscall.SYS_UNSHARE, flag), called(syscall.SYS_CLONE, flag|uintptr(syscall.SIGCHLD))); strings.HasPrefix(found, escaped) {
			return found + " " + kind
		}
	}
	return "denied: none can be made"
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

func remountRoot() string {
	return called(syscall.SYS_MOUNT, 0, at("/"), 0, syscall.MS_REMOUNT|syscall.MS_BIND, 0)
}

func deviceNode() string {
	const memory = 1<<8 | 1
	for _, dir := range []string{"/tmp/", "/dev/shm/", outDir() + "/"} {
		found := called(syscall.SYS_MKNODAT, ^uintptr(99), at(dir+".drill-memory"), syscall.S_IFCHR|0o600, memory)
		os.Remove(dir + ".drill-memory")
		if strings.HasPrefix(found, escaped) {
			return found + " in " + dir
		}
	}
	return "denied: nowhere"
}
