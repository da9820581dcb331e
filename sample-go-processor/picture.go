// Looks at a picture: its dimensions always, its colours and a thumbnail if it is small enough to decode and whole
// enough to be decoded. A picture that is neither is no failure; the result's notes say why it has no thumbnail.
package main

import (
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strings"
)

const (
	maxPixels       = 50_000_000
	maxPictureBytes = 256 << 20
	thumbnailName   = "thumbnail.png"
)

// look reads as much of source as the decoder wants; head is the file's beginning, which source begins with too.
func look(mime string, head []byte, source io.Reader, side int) (*imageResult, image.Image, []string) {
	res := &imageResult{Format: strings.TrimPrefix(mime, "image/"), Colours: []colourShare{}}
	header, err := readHeader(mime, head)
	if err != nil {
		return res, nil, []string{"the picture has no dimensions: " + err.Error()}
	}
	res.Width, res.Height = &header.width, &header.height
	switch {
	case header.height > maxPixels/header.width:
		return res, nil, []string{fmt.Sprintf("no thumbnail and no colours: %d x %d is more than %d pixels", header.width, header.height, maxPixels)}
	case header.bytes > maxPictureBytes:
		return res, nil, []string{fmt.Sprintf("no thumbnail and no colours: decoding would take more than %d MiB", maxPictureBytes>>20)}
	}
	picture, err := decode(mime, source)
	if err != nil {
		return res, nil, []string{fmt.Sprintf("no thumbnail and no colours: the picture cannot be decoded: %v", err)}
	}
	small := shrink(picture, side)
	res.Colours = dominantColours(small)
	res.Thumbnail = &thumbnailResult{Name: thumbnailName, Width: small.Bounds().Dx(), Height: small.Bounds().Dy()}
	return res, small, []string{}
}

// decode never panics: a decoder's bug is the picture's fault here.
func decode(mime string, source io.Reader) (picture image.Image, err error) {
	defer func() {
		if trouble := recover(); trouble != nil {
			picture, err = nil, fmt.Errorf("the decoder gave up: %v", trouble)
		}
	}()
	switch mime {
	case "image/png":
		picture, err = png.Decode(source)
	case "image/jpeg":
		picture, err = jpeg.Decode(source)
	case "image/gif":
		picture, err = gif.Decode(source) // the first frame
	}
	if err == nil && picture.Bounds().Empty() {
		err = errors.New("it has no pixels")
	}
	return picture, err
}
