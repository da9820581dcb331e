// The shape of result.json, which README.md documents. Every key is always there; what does not apply is null.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
)

type result struct {
	Kind    kind         `json:"kind"`
	Type    string       `json:"type"`
	Size    int64        `json:"size"`
	Digests digestResult `json:"digests"`
	Text    *textResult  `json:"text"`
	Table   *tableResult `json:"table"`
	Image   *imageResult `json:"image"`
	Notes   []string     `json:"notes"` // every bound that was hit, and what was odd about the file
}

type digestResult struct {
	MD5    string `json:"md5"`
	SHA1   string `json:"sha1"`
	SHA256 string `json:"sha256"`
	CRC32  string `json:"crc32"`
}

type textResult struct {
	Encoding        string      `json:"encoding"`
	Lines           int64       `json:"lines"`
	Words           int64       `json:"words"`
	Characters      int64       `json:"characters"`
	InvalidBytes    int64       `json:"invalid_bytes"`
	LongestLine     longestLine `json:"longest_line"`
	DistinctWords   *int64      `json:"distinct_words"`
	TopWords        []wordCount `json:"top_words"`
	TopWordsMissing int64       `json:"top_words_missing"` // at most so many are missing from each count
}

type longestLine struct {
	Number     int64 `json:"number"`
	Characters int64 `json:"characters"`
}

type wordCount struct {
	Word  string `json:"word"`
	Count int64  `json:"count"`
}

type tableResult struct {
	Delimiter   string         `json:"delimiter"`
	Header      bool           `json:"header"`
	Rows        int64          `json:"rows"`
	RaggedRows  int64          `json:"ragged_rows"`
	ColumnCount int64          `json:"column_count"`
	Columns     []columnResult `json:"columns"`
}

type columnResult struct {
	Name      string      `json:"name"`
	Type      string      `json:"type"`
	Empty     int64       `json:"empty"`
	Min       interface{} `json:"min"`
	Max       interface{} `json:"max"`
	Mean      *float64    `json:"mean"`
	MinLength int64       `json:"min_length"`
	MaxLength int64       `json:"max_length"`
}

type imageResult struct {
	Format    string           `json:"format"`
	Width     *int64           `json:"width"`
	Height    *int64           `json:"height"`
	Colours   []colourShare    `json:"colours"`
	Thumbnail *thumbnailResult `json:"thumbnail"`
}

type colourShare struct {
	Hex   string  `json:"hex"`
	Share float64 `json:"share"`
}

type thumbnailResult struct {
	Name   string `json:"name"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
}

// writeOutputs gives everything back, the result last.
func writeOutputs(to contract, name string, res *result, thumbnail image.Image) error {
	if thumbnail != nil {
		var encoded bytes.Buffer
		if err := png.Encode(&encoded, thumbnail); err != nil {
			return fmt.Errorf("cannot encode the thumbnail: %w", err)
		}
		if err := to.give(thumbnailName, encoded.Bytes()); err != nil {
			return err
		}
	}
	if err := to.give("report.txt", report(name, res)); err != nil {
		return err
	}
	var encoded bytes.Buffer
	encoder := json.NewEncoder(&encoded)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(res); err != nil {
		return fmt.Errorf("cannot encode the result: %w", err)
	}
	return to.give(resultName, encoded.Bytes())
}
