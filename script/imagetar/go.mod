module fileyard/imagetar

go 1.19
