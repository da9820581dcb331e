// Counts a text as it flows by. Nothing of it is kept but the word under way, so a line may be as long as it likes.
package main

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

type textCounter struct {
	encoding                          string
	lines, words, characters, invalid int64
	line                              int64 // characters of the line under way
	longest, longestAt                int64 // characters and number of the longest line
	longWords                         int64 // words too long to be listed
	lastWasCR, inWord, lineOpen       bool
	word                              wordCollector
	table                             *wordTable
	top                               int
	split                             []byte // the beginning of a character whose end is in the next piece
}

func newTextCounter(found detection, top int) *textCounter {
	return &textCounter{encoding: found.encoding, table: newWordTable(maxDistinctWords), top: top}
}

func (t *textCounter) Write(p []byte) (int, error) {
	size := len(p)
	for len(t.split) > 0 && len(p) > 0 {
		t.split, p = append(t.split, p[0]), p[1:]
		t.split = t.take(t.split, false)
	}
	if len(t.split) > 0 {
		return size, nil // still not whole
	}
	t.split = append(t.split[:0], t.take(p, false)...)
	return size, nil
}

// take counts the characters in p. What it returns is an incomplete character at its end, none when p is the last.
func (t *textCounter) take(p []byte, last bool) []byte {
	for len(p) > 0 {
		if p[0] < utf8.RuneSelf {
			t.character(rune(p[0]))
			p = p[1:]
			continue
		}
		r, size := utf8.DecodeRune(p)
		if r == utf8.RuneError && size == 1 {
			if !last && !utf8.FullRune(p) {
				return p
			}
			t.invalid++
		}
		t.character(r)
		p = p[size:]
	}
	return nil
}

func (t *textCounter) character(r rune) {
	t.characters++
	if r == '\n' {
		if t.lastWasCR {
			t.line-- // the CR of CRLF ends the line, it is not in it
		}
		t.endWord()
		t.endLine()
		t.lastWasCR = false
		return
	}
	t.lineOpen = true
	t.line++
	t.lastWasCR = r == '\r'
	if isSpace(r) {
		t.endWord()
		return
	}
	t.inWord = true
	t.word.add(r)
}

func isSpace(r rune) bool {
	if r < utf8.RuneSelf {
		return r == ' ' || r >= '\t' && r <= '\r'
	}
	return unicode.IsSpace(r)
}

func (t *textCounter) endWord() {
	if !t.inWord {
		return
	}
	t.inWord = false
	t.words++
	key, tooLong := t.word.end()
	if tooLong {
		t.longWords++
	} else if len(key) > 0 {
		t.table.add(key)
	}
}

func (t *textCounter) endLine() {
	t.lines++
	if t.line > t.longest || t.longestAt == 0 {
		t.longest, t.longestAt = t.line, t.lines
	}
	t.line, t.lineOpen = 0, false
}

func (t *textCounter) finish() (*textResult, []string) {
	t.take(t.split, true)
	t.endWord()
	if t.lineOpen {
		t.endLine()
	}
	notes := []string{}
	if t.invalid > 0 {
		notes = append(notes, fmt.Sprintf("bytes that are not UTF-8: %d; each counts as one character", t.invalid))
	}
	if t.longWords > 0 {
		notes = append(notes, fmt.Sprintf("words longer than %d bytes: %d; counted, but not among the top words", maxWordBytes, t.longWords))
	}
	res := &textResult{
		Encoding:        t.encoding,
		Lines:           t.lines,
		Words:           t.words,
		Characters:      t.characters,
		InvalidBytes:    t.invalid,
		LongestLine:     longestLine{Number: t.longestAt, Characters: t.longest},
		TopWords:        t.table.top(t.top),
		TopWordsMissing: t.table.missing,
	}
	if t.table.missing == 0 && t.longWords == 0 {
		distinct := int64(len(t.table.entries))
		res.DistinctWords = &distinct
	}
	if t.table.missing > 0 {
		notes = append(notes, fmt.Sprintf("more than %d different words: each top word's count may be short by up to %d", t.table.limit, t.table.missing))
	}
	return res, notes
}
