// Splits CSV-like bytes into cells and rows as they flow by (RFC 4180, leniently: any delimiter, LF or CRLF, stray
// quotes are text, blank lines are no rows). Of each cell the first kilobyte is kept; a cell, a row or the whole
// file may be one endless line.
package main

const maxCellBytes = 1024

type recordState int

const (
	cellStart recordState = iota
	bareCell
	quotedCell
	quoteInQuoted // a quote inside quotes: the end, or half of a doubled one
)

type records struct {
	delimiter byte
	onCell    func(index int64, cell []byte, length int64) // length in characters, also of what was not kept
	onRow     func(columns int64)

	state     recordState
	kept      []byte
	length    int64
	cut       bool // the cell is longer than what was kept
	lastWasCR bool
	column    int64
	quoted    bool // some cell of this row was quoted, so the row is not blank
	cutCells  int64
}

func (r *records) Write(p []byte) (int, error) {
	for _, b := range p {
		switch r.state {
		case cellStart:
			if b == '"' {
				r.state, r.quoted = quotedCell, true
				continue
			}
			r.state = bareCell
			r.bare(b)
		case bareCell:
			r.bare(b)
		case quotedCell:
			if b == '"' {
				r.state = quoteInQuoted
				continue
			}
			r.keep(b)
		case quoteInQuoted:
			switch b {
			case '"':
				r.keep(b)
				r.state = quotedCell
			case r.delimiter, '\n':
				r.bare(b)
			default:
				r.state = bareCell
				r.keep(b)
			}
		}
	}
	return len(p), nil
}

func (r *records) bare(b byte) {
	switch b {
	case r.delimiter:
		r.endCell()
	case '\n':
		r.endRow()
	default:
		r.keep(b)
	}
}

func (r *records) keep(b byte) {
	if len(r.kept) < maxCellBytes {
		r.kept = append(r.kept, b)
	} else {
		r.cut = true
	}
	if b&0xc0 != 0x80 { // not the continuation of a UTF-8 character
		r.length++
	}
	r.lastWasCR = b == '\r'
}

func (r *records) endCell() {
	if r.cut {
		r.cutCells++
	}
	r.onCell(r.column, r.kept, r.length)
	r.column++
	r.nextCell()
}

func (r *records) nextCell() {
	r.state, r.kept, r.length, r.cut, r.lastWasCR = cellStart, r.kept[:0], 0, false, false
}

func (r *records) endRow() {
	if r.state == bareCell && r.lastWasCR {
		r.length--
		if !r.cut {
			r.kept = r.kept[:len(r.kept)-1]
		}
	}
	if r.column == 0 && r.length == 0 && !r.quoted {
		r.nextCell()
		return
	}
	r.endCell()
	r.onRow(r.column)
	r.column, r.quoted = 0, false
}

// finish ends a last row that no newline ended, and tells whether a quoted cell was still open.
func (r *records) finish() (unclosed bool) {
	unclosed = r.state == quotedCell
	if r.column > 0 || r.length > 0 || r.quoted {
		r.endRow()
	}
	return unclosed
}
