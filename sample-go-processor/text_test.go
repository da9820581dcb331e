// What a text counts to, however it is cut into pieces.
package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func countText(t *testing.T, from io.Reader, top int) (*textResult, []string) {
	t.Helper()
	counter := newTextCounter(detection{encoding: "utf-8"}, top)
	if _, err := io.CopyBuffer(struct{ io.Writer }{counter}, struct{ io.Reader }{from}, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	return counter.finish()
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		text                                     string
		lines, words, characters, invalid        int64
		longestNumber, longestCharacters, unique int64
	}{
		{"", 0, 0, 0, 0, 0, 0, 0},
		{"\n", 1, 0, 1, 0, 1, 0, 0},
		{"one", 1, 1, 3, 0, 1, 3, 1},
		{"one\n", 1, 1, 4, 0, 1, 3, 1},
		{"one two\r\nTwo\r\n", 2, 3, 14, 0, 1, 7, 2},
		{"a\n\nbb bb\nccccc", 4, 4, 14, 0, 3, 5, 3},
		{"grüße, 世界 👋\n", 1, 3, 12, 0, 1, 11, 2}, // the hand is a word, but none to list
		{"caf\xe9 ok", 1, 2, 7, 1, 1, 7, 2},
		{"cut \xf0\x9f\x91", 1, 2, 7, 3, 1, 7, 1},
		{"\xe2\x82A", 1, 1, 3, 2, 1, 3, 1},
		{"a\r\rb", 1, 2, 4, 0, 1, 4, 2},
		{"\u00a0 \u3000x\u2003", 1, 1, 5, 0, 1, 5, 1},
	} {
		for _, pieces := range []io.Reader{strings.NewReader(c.text), iotest.OneByteReader(strings.NewReader(c.text))} {
			got, _ := countText(t, pieces, 10)
			if got.Lines != c.lines || got.Words != c.words || got.Characters != c.characters || got.InvalidBytes != c.invalid ||
				got.LongestLine != (longestLine{c.longestNumber, c.longestCharacters}) || *got.DistinctWords != c.unique {
				t.Errorf("%q: got %+v, %d distinct", c.text, got, *got.DistinctWords)
			}
		}
	}
}

func TestTopWords(t *testing.T) {
	got, _ := countText(t, strings.NewReader(`The cat. "The" (dog) don't -- DON'T, the... well-known ÉTÉ été`), 4)
	want := []wordCount{{"the", 3}, {"don't", 2}, {"été", 2}, {"cat", 1}}
	if !reflect.DeepEqual(got.TopWords, want) || *got.DistinctWords != 6 || got.Words != 11 {
		t.Errorf("got %+v", got)
	}
	none, _ := countText(t, strings.NewReader("a b"), 0)
	if none.TopWords == nil || len(none.TopWords) != 0 {
		t.Errorf("top 0 is %v", none.TopWords)
	}
}

func TestLongWordsAreCountedButNotListed(t *testing.T) {
	got, notes := countText(t, strings.NewReader(strings.Repeat("x", 5000)+" y ends"+strings.Repeat(".", 5000)), 10)
	if got.Words != 3 || got.DistinctWords != nil || !reflect.DeepEqual(got.TopWords, []wordCount{{"ends", 1}, {"y", 1}}) || len(notes) != 1 {
		t.Errorf("got %+v, %q", got, notes)
	}
}

// TestWordTableKeepsItsPromise: with more words than it holds, no count is too high, none is lower by more than
// `missing`, and a word that is frequent enough is there.
func TestWordTableKeepsItsPromise(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	zipf := rand.NewZipf(random, 1.1, 1, 20_000)
	table, truth := newWordTable(500), map[string]int64{}
	for i := 0; i < 200_000; i++ {
		word := fmt.Sprint("w", zipf.Uint64())
		truth[word]++
		table.add([]byte(word))
		if len(table.entries) > 500 {
			t.Fatal("the table grew")
		}
	}
	if table.missing == 0 || int(table.missing) > 2000 {
		t.Fatalf("missing %d", table.missing)
	}
	listed := map[string]int64{}
	for _, entry := range table.top(500) {
		listed[entry.Word] = entry.Count
	}
	for word, count := range truth {
		if got := listed[word]; got > count || got < count-table.missing {
			t.Errorf("%s: %d of %d, missing at most %d", word, got, count, table.missing)
		}
	}
}

// TestForgottenWordsAreOwnedUpTo: words that all had five occurrences are forgotten, so five may be missing.
func TestForgottenWordsAreOwnedUpTo(t *testing.T) {
	table := newWordTable(4)
	for _, word := range strings.Fields(strings.Repeat("a b c d ", 5) + "e a") {
		table.add([]byte(word))
	}
	if got := table.top(9); table.missing != 5 || !reflect.DeepEqual(got, []wordCount{{"a", 1}, {"e", 1}}) {
		t.Errorf("got %v, missing %d", got, table.missing)
	}
}

func TestEndlessLineTakesNoMemory(t *testing.T) {
	for name, sink := range map[string]io.Writer{
		"one word":       newTextCounter(detection{}, 10),
		"one cell":       newTable(','),
		"only quotes":    newTable('"'),
		"a million cols": newTable('x'),
	} {
		piece := bytes.Repeat([]byte("x"), 1<<20)
		if name == "only quotes" {
			piece[0] = '"'
		}
		var before, after runtime.MemStats
		sink.Write(piece)
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := 0; i < 32; i++ {
			sink.Write(piece)
		}
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
			t.Errorf("%s: %d bytes allocated for 32 MiB", name, grown)
		}
	}
}
