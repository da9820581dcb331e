// What one column of a table holds: the narrowest type that fits all its cells, and their range.
package main

import (
	"math"
	"strconv"
	"strings"
	"time"
)

type class int

const (
	classText class = iota
	classInteger
	classNumber
	classBoolean
	classDate
	classTime
	classes
)

var classNames = [classes]string{"text", "integer", "number", "boolean", "date", "datetime"}

// value is a cell with the type it has by itself.
type value struct {
	class   class
	integer int64
	number  float64 // of an integer too
}

// classify reads a trimmed cell. Codes such as 007 stay text: as numbers they would lose their zeros.
func classify(s string) value {
	if len(s) == 0 || len(s) > 40 {
		return value{class: classText}
	}
	switch s[0] {
	case 't', 'T', 'f', 'F':
		if strings.EqualFold(s, "true") || strings.EqualFold(s, "false") {
			return value{class: classBoolean}
		}
		return value{class: classText}
	}
	if strings.Trim(s, "0123456789+-.eE") == "" && !hasLeadingZero(s) {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return value{class: classInteger, integer: n, number: float64(n)}
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsInf(f, 0) {
			return value{class: classNumber, number: f}
		}
	}
	if len(s) >= 10 && s[4] == '-' && s[7] == '-' {
		if _, err := time.Parse("2006-01-02", s); err == nil {
			return value{class: classDate}
		}
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04"} {
			if _, err := time.Parse(layout, s); err == nil {
				return value{class: classTime}
			}
		}
	}
	return value{class: classText}
}

func hasLeadingZero(s string) bool {
	s = strings.TrimLeft(s, "+-")
	return len(s) > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '9'
}

type column struct {
	name                 string
	empty                int64
	seen                 [classes]int64
	minInteger           int64
	maxInteger           int64
	minNumber, maxNumber float64
	sum                  float64
	minString, maxString string // of dates, which sort as they are written
	minLength, maxLength int64
}

func (c *column) add(cell []byte, length int64) {
	s := strings.TrimSpace(string(cell))
	if s == "" {
		c.empty++
		return
	}
	v := classify(s)
	numbers := c.seen[classInteger] + c.seen[classNumber]
	switch v.class {
	case classInteger, classNumber:
		if numbers == 0 || v.number < c.minNumber {
			c.minNumber = v.number
		}
		if numbers == 0 || v.number > c.maxNumber {
			c.maxNumber = v.number
		}
		if v.class == classInteger && (c.seen[classInteger] == 0 || v.integer < c.minInteger) {
			c.minInteger = v.integer
		}
		if v.class == classInteger && (c.seen[classInteger] == 0 || v.integer > c.maxInteger) {
			c.maxInteger = v.integer
		}
		c.sum += v.number
	case classDate, classTime:
		if c.minString == "" || s < c.minString {
			c.minString = s
		}
		if s > c.maxString {
			c.maxString = s
		}
	}
	if c.filled() == 0 || length < c.minLength {
		c.minLength = length
	}
	if length > c.maxLength {
		c.maxLength = length
	}
	c.seen[v.class]++
}

func (c *column) filled() (n int64) {
	for _, seen := range c.seen {
		n += seen
	}
	return n
}

// class is the one type of all cells; integers among numbers are numbers, any other mixture is text.
func (c *column) class() class {
	filled := c.filled()
	for candidate := classInteger; candidate < classes; candidate++ {
		if c.seen[candidate] == filled {
			return candidate
		}
	}
	if c.seen[classInteger]+c.seen[classNumber] == filled {
		return classNumber
	}
	return classText
}

func (c *column) result() columnResult {
	res := columnResult{Name: c.name, Type: "empty", Empty: c.empty, MinLength: c.minLength, MaxLength: c.maxLength}
	filled := c.filled()
	if filled == 0 {
		return res
	}
	class := c.class()
	res.Type = classNames[class]
	switch class {
	case classInteger:
		res.Min, res.Max = c.minInteger, c.maxInteger
	case classNumber:
		res.Min, res.Max = c.minNumber, c.maxNumber
	case classDate, classTime:
		res.Min, res.Max = c.minString, c.maxString
	}
	if class == classInteger || class == classNumber {
		if mean := c.sum / float64(filled); !math.IsInf(mean, 0) && !math.IsNaN(mean) {
			res.Mean = &mean
		}
	}
	return res
}

// clip bounds what is shown of a foreign text.
func clip(s string) string {
	const most = 64
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}
