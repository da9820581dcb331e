// Progress lines on standard output: `fileyard:progress 0.4 counting words`. At most ten a second, only when
// something changed, and never backwards.
package main

import (
	"fmt"
	"io"
	"time"
)

const progressEvery = 100 * time.Millisecond

type progress struct {
	out     io.Writer
	now     func() time.Time
	last    time.Time
	percent int
	message string

	// While a file is read, progress is a Writer that counts: `doing` is what is said, `share` the part of the
	// whole work that reading is.
	done, total int64
	doing       string
	share       float64
}

func newProgress(out io.Writer) *progress {
	return &progress{out: out, now: time.Now, percent: -1}
}

// reading says that `total` bytes are about to be written to this progress.
func (p *progress) reading(total int64, doing string) {
	p.done, p.total, p.doing, p.share = 0, total, doing, 0.95
	p.at(0, doing)
}

func (p *progress) Write(b []byte) (int, error) {
	p.done += int64(len(b))
	if p.total > 0 {
		p.at(p.share*float64(p.done)/float64(p.total), p.doing)
	}
	return len(b), nil
}

func (p *progress) at(fraction float64, message string) {
	percent := int(fraction * 100)
	if percent > 100 {
		percent = 100
	}
	if percent < p.percent {
		percent = p.percent
	}
	if percent == p.percent && message == p.message {
		return
	}
	now := p.now()
	if percent < 100 && p.percent >= 0 && now.Sub(p.last) < progressEvery {
		return
	}
	p.last, p.percent, p.message = now, percent, message
	fmt.Fprintf(p.out, "fileyard:progress %.2f %s\n", float64(percent)/100, message)
}
