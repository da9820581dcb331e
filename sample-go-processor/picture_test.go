// Pictures: what is seen in them, and how broken and boastful ones are taken.
package main

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

// halves is red on the left and blue on the right.
func halves(width, height int) image.Image {
	picture := image.NewPaletted(image.Rect(0, 0, width, height), color.Palette{color.RGBA{255, 0, 0, 255}, color.RGBA{0, 0, 255, 255}})
	for y := 0; y < height; y++ {
		for x := width / 2; x < width; x++ {
			picture.SetColorIndex(x, y, 1)
		}
	}
	return picture
}

func encoded(t *testing.T, mime string, picture image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	var err error
	switch mime {
	case "image/png":
		err = png.Encode(&out, picture)
	case "image/jpeg":
		err = jpeg.Encode(&out, picture, &jpeg.Options{Quality: 95})
	case "image/gif":
		err = gif.Encode(&out, picture, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestPictures(t *testing.T) {
	for _, mime := range []string{"image/png", "image/jpeg", "image/gif"} {
		file := encoded(t, mime, halves(640, 320))
		if got := bySignature(file); got != mime {
			t.Errorf("%s is taken for %q", mime, got)
		}
		res, small, notes := look(mime, file, bytes.NewReader(file), 64)
		if len(notes) != 0 || *res.Width != 640 || *res.Height != 320 || *res.Thumbnail != (thumbnailResult{thumbnailName, 64, 32}) {
			t.Fatalf("%s: %+v, %q", mime, res, notes)
		}
		if len(res.Colours) < 2 || res.Colours[0].Share < 0.4 || res.Colours[1].Share < 0.4 {
			t.Errorf("%s: colours %v", mime, res.Colours)
		}
		left, right := small.At(4, 16).(color.RGBA), small.At(60, 16).(color.RGBA)
		if left.R < 250 || left.B > 5 || right.B < 250 || right.R > 5 {
			t.Errorf("%s: left %v, right %v", mime, left, right)
		}
	}
}

func TestThumbnailSizes(t *testing.T) {
	for _, c := range [][5]int{ // width, height, side, expected width, height
		{10, 20, 256, 10, 20}, {256, 256, 256, 256, 256}, {1000, 500, 256, 256, 128}, {3, 3000, 100, 1, 100}, {100, 99, 1, 1, 1},
	} {
		small := shrink(halves(c[0], c[1]), c[2])
		if got := small.Bounds(); got.Dx() != c[3] || got.Dy() != c[4] {
			t.Errorf("%v: %v", c, got)
		}
	}
}

func TestTransparentPixelsHaveNoColour(t *testing.T) {
	picture := image.NewNRGBA(image.Rect(0, 0, 10, 10))
	for i := 0; i < 10; i++ {
		picture.SetNRGBA(i, 0, color.NRGBA{0, 200, 0, 200})
	}
	got := dominantColours(shrink(picture, 10))
	if len(got) != 1 || got[0].Share != 0.1 || !strings.HasPrefix(got[0].Hex, "#00c") {
		t.Errorf("got %v", got)
	}
}

// lyingPNG claims dimensions that its data does not have.
func lyingPNG(t *testing.T, width, height uint32, depth byte) []byte {
	t.Helper()
	file := encoded(t, "image/png", halves(4, 4))
	binary.BigEndian.PutUint32(file[16:], width)
	binary.BigEndian.PutUint32(file[20:], height)
	file[24], file[25] = depth, 2
	binary.BigEndian.PutUint32(file[29:], crc32.ChecksumIEEE(file[12:29]))
	return file
}

func TestBoastfulAndBrokenPictures(t *testing.T) {
	photo := encoded(t, "image/jpeg", halves(640, 320))
	for _, c := range []struct {
		what, mime string
		file       []byte
		note       string
		width      int64 // 0: none
	}{
		{"enormous", "image/png", lyingPNG(t, 100_000, 100_000, 8), "100000 x 100000 is more than 50000000 pixels", 100_000},
		{"overflowing", "image/png", lyingPNG(t, 1<<31-1, 1<<31-1, 16), "pixels", 1<<31 - 1},
		{"beyond the format", "image/png", lyingPNG(t, 1<<31, 1, 8), "header is broken", 0},
		{"nothing", "image/png", lyingPNG(t, 0, 5, 8), "header is broken", 0},
		{"deep", "image/png", lyingPNG(t, 7000, 7000, 16), "more than 256 MiB", 7000},
		{"a lie within bounds", "image/png", lyingPNG(t, 3000, 3000, 8), "cannot be decoded", 3000},
		{"cut in its header", "image/png", encoded(t, "image/png", halves(4, 4))[:20], "header is broken", 0},
		{"cut in its data", "image/jpeg", photo[:len(photo)/2], "cannot be decoded", 640},
		{"only a beginning", "image/jpeg", photo[:3], "header is broken", 0},
		{"cut", "image/gif", encoded(t, "image/gif", halves(300, 300))[:40], "cannot be decoded", 300},
		{"short", "image/gif", []byte("GIF89a"), "header is broken", 0},
	} {
		res, small, notes := look(c.mime, c.file, bytes.NewReader(c.file), 64)
		if len(notes) != 1 || !strings.Contains(notes[0], c.note) || small != nil || res.Thumbnail != nil || len(res.Colours) != 0 {
			t.Errorf("%s: %+v, %q", c.what, res, notes)
		}
		if (res.Width == nil) != (c.width == 0) || c.width != 0 && *res.Width != c.width {
			t.Errorf("%s: width %v", c.what, res.Width)
		}
	}
}

// TestProgressiveCostsMore: the memory that the decoder takes is foreseen, from the frame's own header.
func TestProgressiveCostsMore(t *testing.T) {
	frame := func(marker byte, sampling byte) []byte {
		file := []byte{0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, marker, 0, 17, 8, 0x10, 0, 0x10, 0, 3}
		return append(file, 1, sampling, 0, 2, 0x11, 0, 3, 0x11, 0)
	}
	const pixels = 0x1000 * 0x1000
	for _, c := range []struct {
		file []byte
		want int64
	}{
		{frame(0xc0, 0x22), pixels * 3 / 2},
		{frame(0xc2, 0x22), pixels * 15 / 2},
		{frame(0xc0, 0x11), pixels * 7},
	} {
		got, err := readHeader("image/jpeg", c.file)
		if err != nil || got.bytes != c.want || got.width != 0x1000 || got.height != 0x1000 {
			t.Errorf("%+v, %v, expected %d bytes", got, err, c.want)
		}
	}
	if _, err := readHeader("image/jpeg", frame(0xc0, 0x00)[:20]); err == nil {
		t.Error("a cut frame was believed")
	}
}

// TestNoHeaderPanics: every cut and many a flipped byte of real pictures is survived.
func TestNoHeaderPanics(t *testing.T) {
	for _, mime := range []string{"image/png", "image/jpeg", "image/gif"} {
		file := encoded(t, mime, halves(16, 16))
		for i := range file {
			readHeader(mime, file[:i])
			for _, flip := range []byte{0x01, 0x80, 0xff} {
				broken := append([]byte{}, file...)
				broken[i] ^= flip
				look(mime, broken, bytes.NewReader(broken), 8)
			}
		}
	}
}
