module kube-groundwork/lab/shop

go 1.24
