// report.txt: the result for people.
package main

import (
	"bytes"
	"fmt"
	"strings"
	"text/tabwriter"
)

func report(name string, res *result) []byte {
	var out bytes.Buffer
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	line := func(label, format string, args ...interface{}) {
		fmt.Fprintf(w, "%s\t%s\n", label, strings.ReplaceAll(oneLine(fmt.Sprintf(format, args...)), "\t", " "))
	}
	line("file", "%s", clip(name))
	line("type", "%s (%s)", res.Type, res.Kind)
	line("size", "%d bytes", res.Size)
	line("sha256", "%s", res.Digests.SHA256)
	line("sha1", "%s", res.Digests.SHA1)
	line("md5", "%s", res.Digests.MD5)
	line("crc32", "%s", res.Digests.CRC32)
	switch {
	case res.Text != nil:
		line("lines", "%d", res.Text.Lines)
		line("words", "%d", res.Text.Words)
		line("characters", "%d", res.Text.Characters)
		line("longest line", "number %d, %d characters", res.Text.LongestLine.Number, res.Text.LongestLine.Characters)
		for _, word := range res.Text.TopWords {
			line("word", "%s: %d", word.Word, word.Count)
		}
	case res.Table != nil:
		line("rows", "%d", res.Table.Rows)
		line("columns", "%d", res.Table.ColumnCount)
		for _, column := range res.Table.Columns {
			line("column", "%s: %s", column.Name, describe(column))
		}
	case res.Image != nil:
		if res.Image.Width != nil {
			line("dimensions", "%d x %d", *res.Image.Width, *res.Image.Height)
		}
		for _, colour := range res.Image.Colours {
			line("colour", "%s: %.1f %%", colour.Hex, 100*colour.Share)
		}
	}
	for _, note := range res.Notes {
		line("note", "%s", note)
	}
	w.Flush()
	return out.Bytes()
}

func describe(c columnResult) string {
	said := c.Type
	if c.Min != nil {
		said += fmt.Sprintf(", %v to %v", c.Min, c.Max)
	}
	if c.Empty > 0 {
		said += fmt.Sprintf(", %d empty", c.Empty)
	}
	return said
}
