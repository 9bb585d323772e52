"""Private language-model calls with receipts: the gateway inside the enclave, the proxy on the desk."""
