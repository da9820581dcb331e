// The colours a picture is mostly made of.
package main

import (
	"fmt"
	"image"
	"math"
	"sort"
)

const maxColours = 5

// dominantColours sorts the pixels of a small picture into 16 x 16 x 16 boxes and returns the mean of the fullest
// ones with their share of all pixels. What is mostly transparent has no colour.
func dominantColours(small *image.RGBA) []colourShare {
	type box struct{ key, n, r, g, b int }
	boxes := map[int]*box{}
	total := 0
	for at := 0; at+4 <= len(small.Pix); at += 4 {
		total++
		alpha := int(small.Pix[at+3])
		if alpha < 128 {
			continue
		}
		straight := func(channel int) int { return int(small.Pix[at+channel]) * 255 / alpha }
		r, g, b := straight(0), straight(1), straight(2)
		key := r>>4<<8 | g>>4<<4 | b>>4
		if boxes[key] == nil {
			boxes[key] = &box{key: key}
		}
		into := boxes[key]
		into.n, into.r, into.g, into.b = into.n+1, into.r+r, into.g+g, into.b+b
	}
	sorted := make([]*box, 0, len(boxes))
	for _, b := range boxes {
		sorted = append(sorted, b)
	}
	sort.Slice(sorted, func(i, j int) bool {
		if sorted[i].n != sorted[j].n {
			return sorted[i].n > sorted[j].n
		}
		return sorted[i].key < sorted[j].key
	})
	if len(sorted) > maxColours {
		sorted = sorted[:maxColours]
	}
	colours := []colourShare{}
	for _, b := range sorted {
		colours = append(colours, colourShare{
			Hex:   fmt.Sprintf("#%02x%02x%02x", b.r/b.n, b.g/b.n, b.b/b.n),
			Share: math.Round(1000*float64(b.n)/float64(total)) / 1000,
		})
	}
	return colours
}
