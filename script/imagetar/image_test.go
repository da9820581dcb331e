package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"testing"
)

var sample = image{name: "fileyard/sample:latest", arch: "arm64", entry: "sample", program: []byte("a program")}

func TestManifestConfigAndLayerAgree(t *testing.T) {
	files := unpack(t, pack(t, sample))

	var manifests []manifest
	decode(t, files["manifest.json"], &manifests)
	if len(manifests) != 1 || len(manifests[0].Layers) != 1 || manifests[0].RepoTags[0] != sample.name {
		t.Fatalf("manifest.json = %+v", manifests)
	}
	configBytes := files[manifests[0].Config]
	if want := digest(configBytes) + ".json"; manifests[0].Config != want {
		t.Errorf("the config is called %s, its digest says %s", manifests[0].Config, want)
	}
	var got config
	decode(t, configBytes, &got)
	layer := files[manifests[0].Layers[0]]
	if want := "sha256:" + digest(layer); got.RootFS.DiffIDs[0] != want {
		t.Errorf("diff id %s, the layer's digest is %s", got.RootFS.DiffIDs[0], want)
	}
	if got.Architecture != "arm64" || got.OS != "linux" {
		t.Errorf("made for %s/%s", got.OS, got.Architecture)
	}
	if got.Config.User != "65532:65532" || got.Config.Entrypoint[0] != "/sample" {
		t.Errorf("runs %v as %s", got.Config.Entrypoint, got.Config.User)
	}
	if program := unpack(t, layer)["sample"]; !bytes.Equal(program, sample.program) {
		t.Errorf("the layer holds %q", program)
	}
}

func TestTheProgramMayBeRunByAnyone(t *testing.T) {
	layer, err := tarOf(file{"sample", 0o755, sample.program})
	if err != nil {
		t.Fatal(err)
	}
	header, err := tar.NewReader(bytes.NewReader(layer)).Next()
	if err != nil {
		t.Fatal(err)
	}
	if header.Mode != 0o755 || header.Uid != 0 || header.Gid != 0 {
		t.Errorf("mode %o, owner %d:%d", header.Mode, header.Uid, header.Gid)
	}
}

func TestSameProgramSameBytes(t *testing.T) {
	if !bytes.Equal(pack(t, sample), pack(t, sample)) {
		t.Error("two packs of one program differ")
	}
	other := sample
	other.program = []byte("another program")
	if bytes.Equal(pack(t, sample), pack(t, other)) {
		t.Error("packs of two programs are equal")
	}
}

func TestANameWithoutTagIsRefused(t *testing.T) {
	untagged := sample
	untagged.name = "fileyard/sample"
	if _, err := untagged.pack(); err == nil {
		t.Error("packed it")
	}
}

func pack(t *testing.T, i image) []byte {
	t.Helper()
	packed, err := i.pack()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

func unpack(t *testing.T, packed []byte) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(packed)); ; {
		header, err := r.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = body
	}
}

func decode(t *testing.T, from []byte, into interface{}) {
	t.Helper()
	if err := json.Unmarshal(from, into); err != nil {
		t.Fatalf("%v in %s", err, from)
	}
}
