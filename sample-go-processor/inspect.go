// The one pass through the file: the first megabyte says what it is, then every byte goes by the digests, the
// progress and whoever knows that kind of file. Nothing is read twice and nothing is held whole but a picture
// whose size was found bearable first.
package main

import (
	"bufio"
	"fmt"
	"image"
	"io"
)

const headSize = 1 << 20

// inspect returns what is known about the file and, for a picture, its thumbnail (else nil).
func inspect(input io.Reader, size int64, name string, opts options, progress *progress) (*result, image.Image, error) {
	buffered := bufio.NewReaderSize(input, headSize)
	head, err := buffered.Peek(headSize)
	if err != nil && err != io.EOF {
		return nil, nil, fmt.Errorf("cannot read the input: %w", err)
	}

	found := detect(head, err == io.EOF, name)
	sums := newDigests()
	progress.reading(size, found.kind.doing())
	source := &honestReader{from: io.TeeReader(buffered, io.MultiWriter(sums, progress))}

	res := &result{Kind: found.kind, Type: found.mime, Notes: []string{}}
	var thumbnail image.Image
	sink, finish := io.Discard, func() {}
	switch found.kind {
	case kindText:
		counter := newTextCounter(found, opts.top)
		sink, finish = counter, func() { res.Text, res.Notes = counter.finish() }
	case kindTable:
		profile := newTable(found.delimiter)
		sink, finish = profile, func() { res.Table, res.Notes = profile.finish() }
	case kindImage:
		res.Image, thumbnail, res.Notes = look(found.mime, head, source, opts.thumbnail)
	case kindData:
		if found.note != "" {
			res.Notes = append(res.Notes, found.note)
		}
	}
	if found.bom > 0 {
		sink = &skipper{left: found.bom, to: sink}
	}
	// The struct hides io.Discard's own reading, which would be in small pieces.
	if _, err := io.CopyBuffer(struct{ io.Writer }{sink}, source, make([]byte, 256<<10)); err != nil || source.err != nil {
		if source.err != nil {
			err = source.err
		}
		return nil, nil, fmt.Errorf("cannot read the input: %w", err)
	}
	finish()
	res.Size, res.Digests = sums.size, sums.result()
	return res, thumbnail, nil
}

// honestReader remembers a read error that a picture decoder took for a broken picture.
type honestReader struct {
	from io.Reader
	err  error
}

func (r *honestReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// skipper drops the first bytes, a byte order mark.
type skipper struct {
	left int
	to   io.Writer
}

func (s *skipper) Write(p []byte) (int, error) {
	drop := s.left
	if drop > len(p) {
		drop = len(p)
	}
	s.left -= drop
	n, err := s.to.Write(p[drop:])
	return n + drop, err
}
