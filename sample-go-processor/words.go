// Words and how often they occur, in a table of bounded size.
package main

import (
	"sort"
	"unicode"
	"unicode/utf8"
)

const (
	maxDistinctWords = 50_000
	maxWordBytes     = 100
)

// wordCollector gathers one word: lower case, without the punctuation around it, at most maxWordBytes long.
type wordCollector struct {
	kept    []byte
	solid   int // kept up to the last letter or digit
	tooLong bool
}

func (w *wordCollector) add(r rune) {
	letter := isLetter(r)
	if w.tooLong || (len(w.kept) == 0 && !letter) {
		return
	}
	if len(w.kept)+utf8.UTFMax > maxWordBytes {
		w.tooLong = w.tooLong || letter // dots without end are still only punctuation
		return
	}
	if r < utf8.RuneSelf {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		w.kept = append(w.kept, byte(r))
	} else {
		w.kept = utf8.AppendRune(w.kept, unicode.ToLower(r))
	}
	if letter {
		w.solid = len(w.kept)
	}
}

// end returns the word and begins the next one. The bytes are good until then.
func (w *wordCollector) end() (word []byte, tooLong bool) {
	word, tooLong = w.kept[:w.solid], w.tooLong
	w.kept, w.solid, w.tooLong = w.kept[:0], 0, false
	return word, tooLong
}

func isLetter(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	}
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r))
}

// wordTable counts words. When it is full, the rarer half is forgotten, and `missing` grows by what any forgotten
// word had at most: no count is ever too high, and none is too low by more than that (after Misra and Gries).
type wordTable struct {
	limit   int
	missing int64
	index   map[string]int
	entries []wordCount
}

func newWordTable(limit int) *wordTable {
	return &wordTable{limit: limit, index: map[string]int{}}
}

func (t *wordTable) add(word []byte) {
	if at, known := t.index[string(word)]; known {
		t.entries[at].Count++
		return
	}
	if len(t.entries) == t.limit {
		t.forget()
	}
	kept := string(word)
	t.index[kept] = len(t.entries)
	t.entries = append(t.entries, wordCount{Word: kept, Count: 1})
}

func (t *wordTable) forget() {
	counts := make([]int64, len(t.entries))
	for i, entry := range t.entries {
		counts[i] = entry.Count
	}
	sort.Slice(counts, func(i, j int) bool { return counts[i] < counts[j] })
	median := counts[len(counts)/2]
	t.missing += median
	kept := t.entries[:0]
	t.index = make(map[string]int, t.limit)
	for _, entry := range t.entries {
		if entry.Count > median {
			t.index[entry.Word] = len(kept)
			kept = append(kept, entry)
		}
	}
	t.entries = kept
}

// top is the n most frequent words, in alphabetical order where they are equally frequent.
func (t *wordTable) top(n int) []wordCount {
	sorted := append([]wordCount{}, t.entries...)
	sort.Slice(sorted, func(i, j int) bool {
		if sorted[i].Count != sorted[j].Count {
			return sorted[i].Count > sorted[j].Count
		}
		return sorted[i].Word < sorted[j].Word
	})
	if len(sorted) > n {
		sorted = sorted[:n]
	}
	return sorted
}
