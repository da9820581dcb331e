module fileyard.dev/sample-go-processor

go 1.19
