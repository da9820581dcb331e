//go:build linux

// drill is a processor that does on purpose what processors do by accident: it fails, hangs, floods, fills, forks
// and dies in each way fileyard has a name for. Tests run it; nobody else should. It is a list of verbs, done in
// order: `drill say hello sleep 2s exit 3`. Without any, its input is the list, one verb a line.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const exitUsage = 64 // EX_USAGE: the drill itself was called wrongly, nothing was done

func main() {
	runtime.LockOSThread() // forked children die with the thread that made them: let it be the one that stays
	standInForC()
	steps, err := parse(os.Args[1:])
	if err == nil && len(steps) == 0 {
		steps, err = parseScript(inDir())
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "drill: %v\n%s", err, usage())
		os.Exit(exitUsage)
	}
	heedSignals(steps)
	for _, step := range steps {
		if err := step.verb.do(step.args); err != nil {
			fmt.Fprintf(os.Stderr, "drill: %s: %v\n", step.verb.name, err)
			os.Exit(1)
		}
	}
}

// heedSignals settles what SIGTERM does before the first verb, so that a test need not guess when `wait` is reached.
func heedSignals(steps []step) {
	has := func(name string) bool {
		for _, step := range steps {
			if step.verb.name == name {
				return true
			}
		}
		return false
	}
	switch {
	case has("stubborn"):
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	case has("wait"):
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM)
		go func() {
			<-asked
			fmt.Println("drill: stopped by SIGTERM")
			os.Exit(0)
		}()
	}
}

// forever never returns. (An empty select would be called a deadlock.)
func forever() error {
	for {
		time.Sleep(time.Hour)
	}
}

func inDir() string  { return dir("DRILL_IN", "/in") }
func outDir() string { return dir("DRILL_OUT", "/out") }

// dir lets the drill's own tests have directories of their own.
func dir(variable, otherwise string) string {
	if set := os.Getenv(variable); set != "" {
		return set
	}
	return otherwise
}

func usage() string {
	lines := []string{"usage: drill [VERB [ARGUMENT]...]...", ""}
	for _, verb := range verbs() {
		lines = append(lines, fmt.Sprintf("  %-24s %s", strings.TrimSpace(verb.name+" "+verb.args), verb.what))
	}
	return strings.Join(lines, "\n") + "\n"
}
