// Profiles a table row by row: which columns, what is in them, how many rows do not fit. The first 256 columns are
// profiled, all are counted.
package main

import (
	"fmt"
	"strings"
)

const maxColumns = 256

type table struct {
	rows    *records
	columns []*column
	first   []string // the first row, until it is known whether it is a header
	started bool     // the first row is over
	header  bool
	count   int64 // rows without the header
	expect  int64 // columns of the first row
	widest  int64
	ragged  int64
}

func newTable(delimiter byte) *table {
	t := &table{}
	t.rows = &records{delimiter: delimiter, onCell: t.cell, onRow: t.row}
	return t
}

func (t *table) Write(p []byte) (int, error) { return t.rows.Write(p) }

func (t *table) cell(index int64, cell []byte, length int64) {
	if index >= maxColumns {
		return
	}
	if !t.started {
		t.first = append(t.first, string(cell))
		return
	}
	t.column(int(index)).add(cell, length)
}

// column makes the column that a longer row brings; the rows before had nothing there.
func (t *table) column(index int) *column {
	for len(t.columns) <= index {
		t.columns = append(t.columns, &column{name: fmt.Sprintf("column_%d", len(t.columns)+1), empty: t.count})
	}
	return t.columns[index]
}

func (t *table) row(columns int64) {
	if columns > t.widest {
		t.widest = columns
	}
	if !t.started {
		t.begin(columns)
		return
	}
	if columns != t.expect {
		t.ragged++
	}
	t.count++
	for i := columns; i < int64(len(t.columns)); i++ {
		t.columns[i].empty++
	}
}

func (t *table) begin(columns int64) {
	t.started, t.expect, t.header = true, columns, looksLikeHeader(t.first)
	for i, cell := range t.first {
		c := t.column(i)
		if t.header {
			c.name = clip(strings.TrimSpace(cell))
		} else {
			c.add([]byte(cell), int64(len([]rune(cell))))
		}
	}
	if !t.header {
		t.count = 1
	}
	t.first = nil
}

// looksLikeHeader: names are text, none is empty and no two are alike.
func looksLikeHeader(cells []string) bool {
	seen := map[string]bool{}
	for _, cell := range cells {
		name := strings.TrimSpace(cell)
		if name == "" || seen[name] || classify(name).class != classText {
			return false
		}
		seen[name] = true
	}
	return true
}

func (t *table) finish() (*tableResult, []string) {
	notes := []string{}
	if t.rows.finish() {
		notes = append(notes, "a quoted cell is never closed; the rest of the file was read as part of it")
	}
	if t.widest > maxColumns {
		notes = append(notes, fmt.Sprintf("columns: %d; only the first %d are described", t.widest, maxColumns))
	}
	if t.rows.cutCells > 0 {
		notes = append(notes, fmt.Sprintf("cells longer than %d bytes: %d; only their beginning was looked at", maxCellBytes, t.rows.cutCells))
	}
	if t.ragged > 0 {
		notes = append(notes, fmt.Sprintf("rows with another number of columns than the first: %d", t.ragged))
	}
	res := &tableResult{
		Delimiter:   string(rune(t.rows.delimiter)),
		Header:      t.header,
		Rows:        t.count,
		RaggedRows:  t.ragged,
		ColumnCount: t.widest,
		Columns:     []columnResult{},
	}
	for _, c := range t.columns {
		res.Columns = append(res.Columns, c.result())
	}
	return res, notes
}
