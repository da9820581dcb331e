// What a file is, from its first bytes. The name is asked only whether a text was meant as a table.
package main

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

type kind string

const (
	kindEmpty kind = "empty"
	kindText  kind = "text"
	kindTable kind = "table"
	kindImage kind = "image"
	kindData  kind = "data" // anything else: size, digests and type are all there is to say
)

func (k kind) doing() string {
	switch k {
	case kindText:
		return "counting words"
	case kindTable:
		return "reading rows"
	case kindImage:
		return "decoding picture"
	}
	return "computing digests"
}

type detection struct {
	kind      kind
	mime      string
	encoding  string // of a text or table: utf-8 or unknown-8bit
	bom       int    // so many bytes of byte order mark to skip
	delimiter byte   // of a table
	note      string
}

// detect judges by head, the file's beginning; whole says that there is no more of it.
func detect(head []byte, whole bool, name string) detection {
	if len(head) == 0 {
		return detection{kind: kindEmpty, mime: "application/x-empty"}
	}
	if mime := bySignature(head); mime != "" {
		switch mime {
		case "image/png", "image/jpeg", "image/gif":
			return detection{kind: kindImage, mime: mime}
		}
		return detection{kind: kindData, mime: mime}
	}
	if bytes.HasPrefix(head, []byte{0xff, 0xfe}) || bytes.HasPrefix(head, []byte{0xfe, 0xff}) {
		return detection{kind: kindData, mime: "text/plain", note: "UTF-16 text is not counted"}
	}
	found := detection{kind: kindText, mime: "text/plain"}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		found.bom = 3
	}
	sample := head[found.bom:]
	if len(sample) > sampleSize {
		sample, whole = sample[:sampleSize], false
	}
	if found.encoding = encodingOf(sample, whole); found.encoding == "" {
		return detection{kind: kindData, mime: "application/octet-stream"}
	}
	if mime := markup(sample, whole); mime != "" {
		found.mime = mime
		return found
	}
	if delimiter, ok := sniffTable(sample, whole, name); ok {
		found.kind, found.mime, found.delimiter = kindTable, "text/csv", delimiter
		if delimiter == '\t' {
			found.mime = "text/tab-separated-values"
		}
	}
	return found
}

const sampleSize = 64 << 10

// encodingOf is empty for what is not text: it has control characters no text has, or is mostly not UTF-8.
func encodingOf(sample []byte, whole bool) string {
	invalid, total := 0, 0
	for rest := sample; len(rest) > 0; total++ {
		if b := rest[0]; (b < ' ' && !bytes.ContainsRune([]byte("\t\n\v\f\r\b\x1b"), rune(b))) || b == 0x7f {
			return ""
		}
		r, size := utf8.DecodeRune(rest)
		if r == utf8.RuneError && size == 1 {
			if !whole && !utf8.FullRune(rest) {
				break // cut by the end of the sample, not broken
			}
			invalid++
		}
		rest = rest[size:]
	}
	switch {
	case invalid == 0:
		return "utf-8"
	case invalid*3 <= total:
		return "unknown-8bit"
	}
	return ""
}

// markup knows the texts that have a type of their own.
func markup(sample []byte, whole bool) string {
	start := bytes.TrimLeft(sample, " \t\r\n")
	if len(start) > 256 {
		start = start[:256]
	}
	lower := bytes.ToLower(start)
	for _, known := range []struct{ prefix, mime string }{
		{"<!doctype html", "text/html"},
		{"<html", "text/html"},
		{"<svg", "image/svg+xml"},
		{"<?xml", "application/xml"},
		{"#!", "text/x-script"},
		{"{\\rtf", "application/rtf"},
		{"-----begin ", "application/x-pem-file"},
	} {
		if bytes.HasPrefix(lower, []byte(known.prefix)) {
			return known.mime
		}
	}
	opens := len(start) > 0 && (start[0] == '{' || start[0] == '[')
	if opens && (whole && json.Valid(sample) || !whole && bytes.Contains(start, []byte(`":`))) {
		return "application/json"
	}
	return ""
}
