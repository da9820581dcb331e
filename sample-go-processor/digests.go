// Size and checksums of everything that is written to it.
package main

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"hash/crc32"
)

type digests struct {
	size                     int64
	md5, sha1, sha256, crc32 hash.Hash
}

func newDigests() *digests {
	return &digests{md5: md5.New(), sha1: sha1.New(), sha256: sha256.New(), crc32: crc32.NewIEEE()}
}

func (d *digests) Write(p []byte) (int, error) {
	d.size += int64(len(p))
	for _, h := range []hash.Hash{d.md5, d.sha1, d.sha256, d.crc32} {
		h.Write(p)
	}
	return len(p), nil
}

func (d *digests) result() digestResult {
	sum := func(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
	return digestResult{MD5: sum(d.md5), SHA1: sum(d.sha1), SHA256: sum(d.sha256), CRC32: sum(d.crc32)}
}
