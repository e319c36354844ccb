module helio

go 1.24
