// The first bytes by which well-known formats are known.
package main

import "bytes"

var signatures = []struct {
	at    int
	bytes string
	mime  string
}{
	{0, "\x89PNG\r\n\x1a\n", "image/png"},
	{0, "\xff\xd8\xff", "image/jpeg"},
	{0, "GIF87a", "image/gif"},
	{0, "GIF89a", "image/gif"},
	{8, "WEBP", "image/webp"}, // after "RIFF" and a length
	{8, "WAVE", "audio/wav"},
	{8, "AVI ", "video/x-msvideo"},
	{0, "BM", "image/bmp"}, // confirmed in bySignature: two letters prove nothing
	{0, "II*\x00", "image/tiff"},
	{0, "MM\x00*", "image/tiff"},
	{0, "\x00\x00\x01\x00", "image/x-icon"},
	{4, "ftypavif", "image/avif"},
	{4, "ftypheic", "image/heic"},
	{4, "ftypqt", "video/quicktime"},
	{4, "ftypM4A", "audio/mp4"},
	{4, "ftyp", "video/mp4"},
	{0, "\x1aE\xdf\xa3", "video/x-matroska"},
	{0, "OggS", "application/ogg"},
	{0, "fLaC", "audio/flac"},
	{0, "ID3", "audio/mpeg"},
	{0, "%PDF-", "application/pdf"},
	{0, "%!PS", "application/postscript"},
	{0, "PK\x03\x04", "application/zip"},
	{0, "PK\x05\x06", "application/zip"},
	{0, "\x1f\x8b", "application/gzip"},
	{0, "BZh", "application/x-bzip2"}, // confirmed in bySignature
	{0, "\xfd7zXZ\x00", "application/x-xz"},
	{0, "\x28\xb5\x2f\xfd", "application/zstd"},
	{0, "7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"},
	{0, "Rar!\x1a\x07", "application/vnd.rar"},
	{257, "ustar", "application/x-tar"},
	{0, "SQLite format 3\x00", "application/vnd.sqlite3"},
	{0, "\x7fELF", "application/x-elf"},
	{0, "\x00asm", "application/wasm"},
	{0, "wOFF", "font/woff"},
	{0, "wOF2", "font/woff2"},
	{0, "PAR1", "application/vnd.apache.parquet"},
}

// bySignature is the type of a known format, or empty.
func bySignature(head []byte) string {
	for _, known := range signatures {
		if len(head) < known.at || !bytes.HasPrefix(head[known.at:], []byte(known.bytes)) {
			continue
		}
		switch known.mime {
		case "image/webp", "audio/wav", "video/x-msvideo":
			if !bytes.HasPrefix(head, []byte("RIFF")) {
				continue
			}
		case "image/bmp": // its reserved bytes are zero
			if len(head) < 10 || !bytes.Equal(head[6:10], make([]byte, 4)) {
				continue
			}
		case "application/x-bzip2": // a level, then the digits of pi
			if len(head) < 10 || string(head[4:10]) != "1AY&SY" {
				continue
			}
		}
		return known.mime
	}
	return ""
}
