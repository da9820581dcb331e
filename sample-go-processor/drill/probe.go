//go:build linux

// What this container may do and is given, as one JSON object: for a test to compare with what it should be.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
)

type report struct {
	UID          int               `json:"uid"`
	GID          int               `json:"gid"`
	Groups       []int             `json:"groups"`
	PID          int               `json:"pid"`
	Hostname     string            `json:"hostname"`
	Status       map[string]string `json:"status"` // of /proc/self/status: CapEff, CapBnd, NoNewPrivs, Seccomp, ...
	RootReadOnly bool              `json:"root_read_only"`
	Writable     map[string]string `json:"writable"` // "ok", or the errno of creating a file there
	Tmp          filesystem        `json:"tmp"`
	Interfaces   []string          `json:"interfaces"`
	Dial         map[string]string `json:"dial"`        // address -> "ok" or what went wrong
	Limits       map[string]limit  `json:"limits"`      // RLIMIT_*; -1 is none
	Cgroup       map[string]string `json:"cgroup"`      // file -> its content
	Syscalls     map[string]string `json:"syscalls"`    // "ok", or the errno, or the signal
	Environment  map[string]string `json:"environment"` // FILEYARD_*, HOME, TMPDIR, PATH
	Variables    []string          `json:"variables"`   // the names of all
	Processes    []process         `json:"processes"`
	Mounts       []mount           `json:"mounts"`
}

func probe([]string) error {
	hostname, _ := os.Hostname()
	groups, _ := os.Getgroups()
	if groups == nil {
		groups = []int{}
	}
	r := report{
		UID: os.Getuid(), GID: os.Getgid(), Groups: groups, PID: os.Getpid(), Hostname: hostname,
		Status:       ownStatus(),
		RootReadOnly: readOnly("/"),
		Writable:     map[string]string{},
		Tmp:          filesystemAt("/tmp"),
		Interfaces:   interfaces(),
		Dial:         map[string]string{},
		Limits:       limits(),
		Cgroup:       cgroup(),
		Syscalls:     trySyscalls(),
		Environment:  map[string]string{},
		Processes:    processes(),
		Mounts:       mounts(),
	}
	for _, dir := range []string{"/", inDir(), outDir(), "/tmp", "/dev", "/dev/shm"} {
		r.Writable[dir] = writable(dir)
	}
	address := dir("DRILL_DIAL", "1.1.1.1:443") // an address that exists and is no neighbour
	r.Dial[address] = dial(address)
	for _, variable := range os.Environ() {
		name, value := variable, ""
		if at := strings.Index(variable, "="); at >= 0 {
			name, value = variable[:at], variable[at+1:]
		}
		r.Variables = append(r.Variables, name)
		if strings.HasPrefix(name, "FILEYARD_") || name == "HOME" || name == "TMPDIR" || name == "PATH" {
			r.Environment[name] = value
		}
	}
	sort.Strings(r.Variables)
	encoded, err := json.Marshal(r)
	if err != nil {
		return err
	}
	fmt.Println(string(encoded))
	return write([]string{"result.json", string(encoded)})
}

func writable(dir string) string {
	path := dir + "/.drill-probe"
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		file.Close()
		err = os.Remove(path)
	}
	return outcome(err)
}
