// Makes pictures small. Each pixel of the thumbnail is the mean of up to 8 x 8 points spread evenly over the part
// of the original it stands for.
package main

import (
	"image"
	"image/color"
)

const pointsPerSide = 8

// shrink fits the picture into a square of that side. A smaller picture keeps its size.
func shrink(picture image.Image, side int) *image.RGBA {
	bounds := picture.Bounds()
	width, height := fit(bounds.Dx(), bounds.Dy(), side)
	small := image.NewRGBA(image.Rect(0, 0, width, height))
	at := pointReader(picture)
	for y := 0; y < height; y++ {
		top, bottom := span(y, height, bounds.Min.Y, bounds.Dy())
		for x := 0; x < width; x++ {
			left, right := span(x, width, bounds.Min.X, bounds.Dx())
			small.SetRGBA(x, y, mean(at, left, right, top, bottom))
		}
	}
	return small
}

func fit(width, height, side int) (int, int) {
	longer := width
	if height > longer {
		longer = height
	}
	if longer <= side {
		return width, height
	}
	scale := func(n int) int {
		if n = (n*side + longer/2) / longer; n < 1 {
			return 1
		}
		return n
	}
	return scale(width), scale(height)
}

// span is the part [from, to) of the original, which begins at start, under the i-th of n pixels.
func span(i, n, start, length int) (from, to int) {
	from, to = start+i*length/n, start+(i+1)*length/n
	if to == from {
		to++
	}
	return from, to
}

// mean works on colours multiplied by their opacity, so what is transparent does not stain its neighbours.
func mean(at func(x, y int) color.RGBA64, left, right, top, bottom int) color.RGBA {
	across, down := points(right-left), points(bottom-top)
	var r, g, b, a uint64
	for j := 0; j < down; j++ {
		y := top + (2*j+1)*(bottom-top)/(2*down)
		for i := 0; i < across; i++ {
			c := at(left+(2*i+1)*(right-left)/(2*across), y)
			r, g, b, a = r+uint64(c.R), g+uint64(c.G), b+uint64(c.B), a+uint64(c.A)
		}
	}
	n := uint64(across*down) * 0x101
	part := func(sum uint64) uint8 { return uint8((sum + n/2) / n) }
	return color.RGBA{R: part(r), G: part(g), B: part(b), A: part(a)}
}

func points(length int) int {
	if length > pointsPerSide {
		return pointsPerSide
	}
	return length
}

// pointReader reads a pixel without allocating, where the picture can do that.
func pointReader(picture image.Image) func(x, y int) color.RGBA64 {
	if direct, ok := picture.(image.RGBA64Image); ok {
		return direct.RGBA64At
	}
	return func(x, y int) color.RGBA64 {
		r, g, b, a := picture.At(x, y).RGBA()
		return color.RGBA64{R: uint16(r), G: uint16(g), B: uint16(b), A: uint16(a)}
	}
}
