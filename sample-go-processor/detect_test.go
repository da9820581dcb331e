// What files are taken for.
package main

import (
	"strings"
	"testing"
)

func TestDetect(t *testing.T) {
	for _, c := range []struct {
		head, name string
		kind       kind
		mime       string
	}{
		{"", "a.png", kindEmpty, "application/x-empty"},
		{"plain words", "a.png", kindText, "text/plain"},
		{"grüße", "", kindText, "text/plain"},
		{"\x00", "a.txt", kindData, "application/octet-stream"},
		{"\xff\xfea\x00", "a.txt", kindData, "text/plain"},
		{"caf\xe9 au lait", "", kindText, "text/plain"},
		{"\x93\xa4\xf1\x88", "", kindData, "application/octet-stream"},
		{"a,b\n1,2\n", "x.csv", kindTable, "text/csv"},
		{"a\tb\n1\t2\n", "x.tsv", kindTable, "text/tab-separated-values"},
		{`{"a": 1}`, "x", kindText, "application/json"},
		{`{not json}`, "x", kindText, "text/plain"},
		{"<!DOCTYPE html><p>", "x", kindText, "text/html"},
		{"  <?xml version='1.0'?>", "x", kindText, "application/xml"},
		{"#!/bin/sh\n", "x", kindText, "text/x-script"},
		{"\x89PNG\r\n\x1a\n", "x", kindImage, "image/png"},
		{"\xff\xd8\xff\xe0", "x.txt", kindImage, "image/jpeg"},
		{"GIF89a", "x", kindImage, "image/gif"},
		{"%PDF-1.7\n", "x", kindData, "application/pdf"},
		{"PK\x03\x04", "x", kindData, "application/zip"},
		{"RIFF\x00\x00\x00\x00WEBPVP8 ", "x", kindData, "image/webp"},
		{"12345678WEBP is a format", "x", kindText, "text/plain"},
		{"BM is for Bertha Mason", "x", kindText, "text/plain"},
		{"BZh is no bzip2", "x", kindText, "text/plain"},
		{"\x00\x00\x00\x18ftypmp42", "x", kindData, "video/mp4"},
		{strings.Repeat("\x00", 257) + "ustar", "x", kindData, "application/x-tar"},
	} {
		if got := detect([]byte(c.head), true, c.name); got.kind != c.kind || got.mime != c.mime {
			t.Errorf("%.20q %s: %s, %s", c.head, c.name, got.kind, got.mime)
		}
	}
	cut := strings.Repeat("ü", sampleSize) // its sample may end within a character
	for _, head := range []string{cut, "a" + cut, cut[:headSize%7+4001]} {
		if got := detect([]byte(head), false, ""); got.encoding != "utf-8" {
			t.Errorf("%d bytes: %+v", len(head), got)
		}
	}
	if got := detect([]byte("caf\xe9"), true, ""); got.encoding != "unknown-8bit" {
		t.Errorf("Latin 1 is %q", got.encoding)
	}
}
