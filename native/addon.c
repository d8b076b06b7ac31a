#include <node_api.h>
#include <openssl/evp.h>
static napi_value init(napi_env env, napi_value exports) { (void)env; EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new(); EVP_CIPHER_CTX_free(c); return exports; }
NAPI_MODULE(NODE_GYP_MODULE_NAME, init)
