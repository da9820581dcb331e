// Whether a text is a table, and what parts its cells. A file called .csv or .tsv is believed; any other must show
// three rows or more of the same several columns, and not read like prose.
package main

import (
	"path/filepath"
	"strings"
)

var delimiters = []byte{',', '\t', ';', '|'}

// sniffTable judges by a sample of the text; whole says that the sample is all there is.
func sniffTable(sample []byte, whole bool, name string) (delimiter byte, isTable bool) {
	named := false
	switch strings.ToLower(filepath.Ext(name)) {
	case ".tsv", ".tab":
		return '\t', true
	case ".csv":
		named = true
	}
	var most int64
	for _, candidate := range delimiters {
		shape := shapeOf(sample, whole || named, candidate)
		if shape.columns <= most || shape.columns < 2 {
			continue
		}
		if named && shape.same*10 >= shape.rows*9 || shape.rows >= 3 && shape.same == shape.rows && !shape.prose() {
			delimiter, most = candidate, shape.columns
		}
	}
	if named && most == 0 {
		return ',', true
	}
	return delimiter, most > 0
}

type tableShape struct {
	columns, rows, same   int64 // same: rows with as many columns as the first
	cells, afterDelimiter int64 // afterDelimiter: cells that begin with a blank, as clauses of a sentence do
}

func (s tableShape) prose() bool { return s.afterDelimiter*2 > s.cells }

func shapeOf(sample []byte, toTheEnd bool, delimiter byte) tableShape {
	var shape tableShape
	rows := &records{
		delimiter: delimiter,
		onCell: func(index int64, cell []byte, _ int64) {
			if index == 0 {
				return
			}
			shape.cells++
			if len(cell) > 0 && cell[0] == ' ' {
				shape.afterDelimiter++
			}
		},
		onRow: func(columns int64) {
			if shape.rows == 0 {
				shape.columns = columns
			}
			shape.rows++
			if columns == shape.columns {
				shape.same++
			}
		},
	}
	rows.Write(sample)
	if toTheEnd {
		rows.finish()
	}
	return shape
}
