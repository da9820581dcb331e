//go:build linux

// What the kernel says about this process's surroundings, read from /proc and /sys.
package main

import (
	"os"
	"sort"
	"strconv"
	"strings"
	"syscall"
)

type filesystem struct {
	Type  string `json:"type"`
	Size  int64  `json:"size"`
	Flags string `json:"flags"`
}

type limit struct {
	Soft int64 `json:"soft"`
	Hard int64 `json:"hard"`
}

type process struct {
	PID  int    `json:"pid"`
	Name string `json:"name"`
}

type mount struct {
	Target  string `json:"target"`
	Type    string `json:"type"`
	Options string `json:"options"`
}

func ownStatus() map[string]string {
	kept := map[string]string{}
	content, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(content), "\n") {
		at := strings.Index(line, ":")
		if at < 0 {
			continue
		}
		switch key := line[:at]; key {
		case "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters":
			kept[key] = strings.TrimSpace(line[at+1:])
		}
	}
	return kept
}

func readOnly(path string) bool {
	var stat syscall.Statfs_t
	const stReadOnly = 1
	return syscall.Statfs(path, &stat) == nil && stat.Flags&stReadOnly != 0
}

func filesystemAt(path string) filesystem {
	found := filesystem{Type: "part of the root"}
	for _, m := range mounts() {
		if m.Target == path {
			found.Type, found.Flags = m.Type, m.Options
		}
	}
	var stat syscall.Statfs_t
	if syscall.Statfs(path, &stat) == nil {
		found.Size = int64(stat.Blocks) * int64(stat.Bsize)
	}
	return found
}

func mounts() []mount {
	all := []mount{}
	content, _ := os.ReadFile("/proc/self/mounts")
	for _, line := range strings.Split(string(content), "\n") {
		if fields := strings.Fields(line); len(fields) >= 4 {
			all = append(all, mount{Target: fields[1], Type: fields[2], Options: fields[3]})
		}
	}
	return all
}

func interfaces() []string {
	names := []string{}
	content, _ := os.ReadFile("/proc/self/net/dev")
	for _, line := range strings.Split(string(content), "\n") {
		if at := strings.Index(line, ":"); at > 0 {
			names = append(names, strings.TrimSpace(line[:at]))
		}
	}
	sort.Strings(names)
	return names
}

// limits are this process's. Go raises the soft limit of open files to the hard one when it starts.
func limits() map[string]limit {
	found := map[string]limit{}
	for name, resource := range map[string]int{
		"fsize": syscall.RLIMIT_FSIZE, "nofile": syscall.RLIMIT_NOFILE, "core": syscall.RLIMIT_CORE, "nproc": 6,
	} {
		var l syscall.Rlimit
		if syscall.Getrlimit(resource, &l) == nil {
			found[name] = limit{Soft: int64(l.Cur), Hard: int64(l.Max)} // infinity, all ones, becomes -1
		}
	}
	return found
}

// cgroup reads the limits of either version, where they can be seen.
func cgroup() map[string]string {
	found := map[string]string{}
	for _, file := range []string{
		"memory.max", "memory.swap.max", "pids.max", "cpu.max",
		"memory/memory.limit_in_bytes", "memory/memory.memsw.limit_in_bytes", "pids/pids.max",
		"cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us",
	} {
		if content, err := os.ReadFile("/sys/fs/cgroup/" + file); err == nil {
			found[file] = strings.TrimSpace(string(content))
		}
	}
	return found
}

func processes() []process {
	found := []process{}
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			name, _ := os.ReadFile("/proc/" + entry.Name() + "/comm")
			found = append(found, process{PID: pid, Name: strings.TrimSpace(string(name))})
		}
	}
	return found
}
