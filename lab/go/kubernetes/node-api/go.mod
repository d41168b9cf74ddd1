module k8s.io/node-api

go 1.12
