// README.md is a promise: the result it shows has the keys that results have, and its example is a true one.
package main

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"sort"
	"testing"
)

func TestReadmeShowsTheResult(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```json\n(.*?)```").FindSubmatch(readme)
	if found == nil {
		t.Fatal("README.md shows no JSON")
	}
	var shown, given interface{}
	if err := json.Unmarshal(found[1], &shown); err != nil {
		t.Fatal(err)
	}
	run := process(t, "a.txt", []byte("the quick fox\nthe end\n"), map[string]string{"FILEYARD_PARAM_TOP": "1"}).result
	run.Table = process(t, "a.csv", []byte("price\n1\n2.5\n"), nil).result.Table
	run.Image = process(t, "a.png", encoded(t, "image/png", halves(640, 320)), nil).result.Image
	run.Image.Colours = run.Image.Colours[:1] // README.md shows one
	encoded, err := json.Marshal(run)
	if err != nil {
		t.Fatal(err)
	}
	json.Unmarshal(encoded, &given)
	for _, tree := range []interface{}{shown, given} { // README.md spares the reader the digests
		digests := tree.(map[string]interface{})["digests"].(map[string]interface{})
		for name := range digests {
			digests[name] = ""
		}
	}
	if !reflect.DeepEqual(shown, given) {
		t.Errorf("README.md shows %v\nthe result is     %v", sorted(shown), sorted(given))
	}
}

func sorted(tree interface{}) []string {
	keys := []string{}
	for key, value := range tree.(map[string]interface{}) {
		line, _ := json.Marshal(value)
		keys = append(keys, key+"="+string(line))
	}
	sort.Strings(keys)
	return keys
}
