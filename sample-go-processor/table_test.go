// Rows, columns and types, however the bytes are cut, and what is taken for a table at all.
package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// rowsOf feeds the text in pieces of that size.
func rowsOf(text string, piece int) [][]string {
	all, row := [][]string{}, []string{}
	r := &records{
		delimiter: ',',
		onCell:    func(_ int64, cell []byte, _ int64) { row = append(row, string(cell)) },
		onRow:     func(int64) { all, row = append(all, row), []string{} },
	}
	for len(text) > piece {
		r.Write([]byte(text[:piece]))
		text = text[piece:]
	}
	r.Write([]byte(text))
	r.finish()
	return all
}

// TestRecordsAgreeWithTheLibrary on what both call good CSV.
func TestRecordsAgreeWithTheLibrary(t *testing.T) {
	for _, text := range []string{
		"", "a", "a,b\n", "a,b\nc,d", "a,b\r\nc,d\r\n", "\n\na\n\n", ",\n", "a,,b\n,,\n",
		"\"a\",\"b\"\n", "\"a,b\",c\n", "\"a\nb\",c\n", "\"say \"\"hi\"\"\",x\r\n", "\"\"\n", "\"\",\"\"\n", "ü,世\n", " a , b \n",
	} {
		reader := csv.NewReader(strings.NewReader(text))
		reader.FieldsPerRecord = -1
		want, err := reader.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for piece := 1; piece < 5; piece++ {
			if got := rowsOf(text, piece); fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
				t.Errorf("%q in pieces of %d: %q, expected %q", text, piece, got, want)
			}
		}
	}
	if got := rowsOf("a\"b,\"c\"d\n", 9); !reflect.DeepEqual(got, [][]string{{`a"b`, `cd`}}) {
		t.Errorf("stray quotes: %q", got)
	}
}

func tableOf(t *testing.T, text string) (*tableResult, []string) {
	t.Helper()
	profile := newTable(',')
	profile.Write([]byte(text))
	return profile.finish()
}

func TestColumns(t *testing.T) {
	got, notes := tableOf(t, "id,price,when,at,ok,name,code,none\n"+
		"9223372036854775807,1.5,2024-02-29,2024-01-01T10:00:00Z,true,Zoë,007,\n"+
		"-3,-2,2023-12-31,2023-01-01T10:00:00Z,FALSE,\"a, b\",010, \n"+
		"4,1e3,,,,,,\n")
	encoded, _ := json.Marshal(got.Columns)
	want := `[` +
		`{"name":"id","type":"integer","empty":0,"min":-3,"max":9223372036854775807,"mean":3074457345618258400,"min_length":1,"max_length":19},` +
		`{"name":"price","type":"number","empty":0,"min":-2,"max":1000,"mean":333.1666666666667,"min_length":2,"max_length":3},` +
		`{"name":"when","type":"date","empty":1,"min":"2023-12-31","max":"2024-02-29","mean":null,"min_length":10,"max_length":10},` +
		`{"name":"at","type":"datetime","empty":1,"min":"2023-01-01T10:00:00Z","max":"2024-01-01T10:00:00Z","mean":null,"min_length":20,"max_length":20},` +
		`{"name":"ok","type":"boolean","empty":1,"min":null,"max":null,"mean":null,"min_length":4,"max_length":5},` +
		`{"name":"name","type":"text","empty":1,"min":null,"max":null,"mean":null,"min_length":3,"max_length":4},` +
		`{"name":"code","type":"text","empty":1,"min":null,"max":null,"mean":null,"min_length":3,"max_length":3},` +
		`{"name":"none","type":"empty","empty":3,"min":null,"max":null,"mean":null,"min_length":0,"max_length":0}]`
	if string(encoded) != want {
		t.Errorf("got      %s\nexpected %s", encoded, want)
	}
	if !got.Header || got.Rows != 3 || got.ColumnCount != 8 || got.RaggedRows != 0 || len(notes) != 0 {
		t.Errorf("got %+v, %q", got, notes)
	}
}

func TestClassify(t *testing.T) {
	for class, cells := range map[class][]string{
		classInteger: {"0", "-1", "+5", "42"},
		classNumber:  {"0.5", "-.5", "1e5", "99999999999999999999"},
		classBoolean: {"true", "False"},
		classDate:    {"2024-02-29"},
		classTime:    {"2024-02-29T23:59:59+02:00", "2024-02-29 23:59:59", "2024-02-29T23:59:59.5"},
		classText: {"", "007", "-00", "1,5", "0x10", "1_000", "NaN", "inf", "1e999", "e", "-", "2024-02-30", "2024-13-01",
			"t", "tru", "1-2", strings.Repeat("1", 41)},
	} {
		for _, cell := range cells {
			if got := classify(cell).class; got != class {
				t.Errorf("%q is %s, expected %s", cell, classNames[got], classNames[class])
			}
		}
	}
}

func TestOddTables(t *testing.T) {
	headless, _ := tableOf(t, "1,x\n2,y\n")
	if headless.Header || headless.Rows != 2 || headless.Columns[0].Name != "column_1" || headless.Columns[0].Type != "integer" {
		t.Errorf("headless: %+v", headless)
	}
	ragged, notes := tableOf(t, "a,b\n1\n1,2,3\n1,2\n")
	if ragged.RaggedRows != 2 || ragged.ColumnCount != 3 || ragged.Columns[1].Empty != 1 || ragged.Columns[2].Empty != 2 || len(notes) != 1 {
		t.Errorf("ragged: %+v, %q", ragged, notes)
	}
	mixed, _ := tableOf(t, "a,b\n1,true\n2024-01-01,7\n")
	if mixed.Columns[0].Type != "text" || mixed.Columns[1].Type != "text" {
		t.Errorf("mixed: %+v", mixed)
	}
	_, notes = tableOf(t, "a,b\n1,\"never closed\n2,3\n")
	if len(notes) != 1 || !strings.Contains(notes[0], "never closed") {
		t.Errorf("unclosed: %q", notes)
	}
	long, notes := tableOf(t, "a\n"+strings.Repeat("ü", 3000)+"\r\n")
	if long.Columns[0].MaxLength != 3000 || len(notes) != 1 {
		t.Errorf("long: %+v, %q", long.Columns, notes)
	}
	huge, _ := tableOf(t, "a\n1e308\n1e308\n")
	if _, err := json.Marshal(huge); err != nil || huge.Columns[0].Mean != nil {
		t.Errorf("huge: %v", err)
	}
	wide, notes := tableOf(t, strings.Repeat("1,", 99_999)+"1\n")
	if wide.ColumnCount != 100_000 || len(wide.Columns) != maxColumns || len(notes) != 1 {
		t.Errorf("wide: %d, %d, %q", wide.ColumnCount, len(wide.Columns), notes)
	}
}

func TestSniffing(t *testing.T) {
	for _, c := range []struct {
		name, text string
		delimiter  byte // 0: no table
	}{
		{"a.csv", "only one column\n", ','},
		{"a.csv", "a;b\n1;2,5\n", ';'},
		{"a.csv", "a,b", ','},
		{"a.TSV", "a b\n", '\t'},
		{"noname", "a,b\n1,2\n3,4\n", ','},
		{"noname", "a\tb\n1\t2\n3\t4\n", '\t'},
		{"noname", "a|b|c\n1|2|3\n3|4|5\n", '|'},
		{"noname", "a,b\n1,2\n", 0},
		{"noname", "a,b\n1,2\n3,4,5\n", 0},
		{"poem.txt", "Roses are red, they say\nViolets are blue, they say\nSugar is sweet, they say\n", 0},
		{"noname", "no table\nat all\nhere\n", 0},
	} {
		if delimiter, ok := sniffTable([]byte(c.text), true, c.name); ok != (c.delimiter != 0) || ok && delimiter != c.delimiter {
			t.Errorf("%s %q: %q, %v", c.name, c.text, delimiter, ok)
		}
	}
}
