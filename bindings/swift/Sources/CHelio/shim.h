#include <helio.h>
