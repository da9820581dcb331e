// What a picture claims to be, read from its first bytes before anything is decoded: its dimensions, and how much
// memory decoding it would take.
package main

import (
	"encoding/binary"
	"errors"
)

type pictureHeader struct {
	width, height int64
	bytes         int64 // what Go's decoder will allocate, roughly, from above
}

var errNoHeader = errors.New("its header is broken or cut off")

func readHeader(mime string, head []byte) (pictureHeader, error) {
	header, err := pictureHeader{}, errNoHeader
	switch mime {
	case "image/png":
		header, err = pngHeader(head)
	case "image/gif":
		header, err = gifHeader(head)
	case "image/jpeg":
		header, err = jpegHeader(head)
	}
	if err == nil && (header.width < 1 || header.height < 1 || header.width >= 1<<31 || header.height >= 1<<31) {
		return pictureHeader{}, errNoHeader
	}
	return header, err
}

func pngHeader(head []byte) (pictureHeader, error) {
	if len(head) < 29 || string(head[12:16]) != "IHDR" {
		return pictureHeader{}, errNoHeader
	}
	h := pictureHeader{
		width:  int64(binary.BigEndian.Uint32(head[16:])),
		height: int64(binary.BigEndian.Uint32(head[20:])),
	}
	depth, interlace := head[24], head[28]
	perPixel := int64(4)
	if depth == 16 {
		perPixel = 8
	}
	if interlace != 0 {
		perPixel *= 2 // the passes are decoded beside the whole
	}
	if h.width < 1<<31 && h.height < 1<<31 && h.width*h.height <= maxPixels { // else the product may overflow
		h.bytes = h.width * h.height * perPixel
	}
	return h, nil
}

func gifHeader(head []byte) (pictureHeader, error) {
	if len(head) < 10 {
		return pictureHeader{}, errNoHeader
	}
	h := pictureHeader{
		width:  int64(binary.LittleEndian.Uint16(head[6:])),
		height: int64(binary.LittleEndian.Uint16(head[8:])),
	}
	h.bytes = h.width * h.height
	return h, nil
}

// jpegHeader walks the segments to the start of frame. A progressive picture costs more: the decoder keeps all its
// coefficients, four bytes each, until the last scan.
func jpegHeader(head []byte) (pictureHeader, error) {
	at := 2
	for at+4 <= len(head) {
		if head[at] != 0xff {
			return pictureHeader{}, errNoHeader
		}
		marker := head[at+1]
		if marker == 0xff { // padding
			at++
			continue
		}
		if marker == 0x01 || marker >= 0xd0 && marker <= 0xd7 { // these stand alone
			at += 2
			continue
		}
		length := int(binary.BigEndian.Uint16(head[at+2:]))
		if marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc {
			return jpegFrame(head[at+4:], marker == 0xc2)
		}
		if marker == 0xd9 || marker == 0xda || length < 2 {
			return pictureHeader{}, errNoHeader
		}
		at += 2 + length
	}
	return pictureHeader{}, errNoHeader
}

func jpegFrame(frame []byte, progressive bool) (pictureHeader, error) {
	if len(frame) < 6 || len(frame) < 6+3*int(frame[5]) || frame[5] == 0 {
		return pictureHeader{}, errNoHeader
	}
	h := pictureHeader{
		height: int64(binary.BigEndian.Uint16(frame[1:])),
		width:  int64(binary.BigEndian.Uint16(frame[3:])),
	}
	var areas, widest, highest int64 // sampling factors: a component has its share of the largest one's samples
	for i := 0; i < int(frame[5]); i++ {
		across, down := int64(frame[7+3*i]>>4), int64(frame[7+3*i]&15)
		areas += across * down
		if across > widest {
			widest = across
		}
		if down > highest {
			highest = down
		}
	}
	if widest*highest == 0 {
		return pictureHeader{}, errNoHeader
	}
	perSample := int64(1)
	if progressive {
		perSample += 4
	}
	pixels := h.width * h.height
	h.bytes = pixels * areas * perSample / (widest * highest)
	if components := int64(frame[5]); components > 3 || components == 3 && areas == 3*widest*highest {
		h.bytes += 4 * pixels // CMYK, or RGB as it is: decoded into a second picture
	}
	return h, nil
}
