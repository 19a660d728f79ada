/* A stand-in for libnvidia-ml.so.1: NVML's functions, structs and error codes as nvml.h declares them, on boards that
 * the environment describes.
 *
 * FAKE_NVML_BOARDS   names of the boards, separated by commas; board i is GPU-000i-..., i being its number
 * FAKE_NVML_ERRORS   "function=code ...": these functions return that error
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };
enum { MAX_BOARDS = 8 };

typedef struct { int number; unsigned long long millijoules; } Board;
typedef struct { unsigned int gpu, memory; } Utilization;
typedef struct {
    unsigned int pid;
    unsigned long long timeStamp;
    unsigned int smUtil, memUtil, encUtil, decUtil;
} ProcessUtilizationSample;
typedef struct {
    unsigned int pid;
    unsigned long long usedGpuMemory;
    unsigned int gpuInstanceId, computeInstanceId;
} ProcessInfo;
typedef struct { unsigned int version; int sensorType, temperature; } Temperature;

static Board boards[MAX_BOARDS];

static int failure(const char *function) {
    const char *errors = getenv("FAKE_NVML_ERRORS");
    char key[128];
    snprintf(key, sizeof key, "%s=", function);
    const char *found = errors ? strstr(errors, key) : NULL;
    return found ? atoi(found + strlen(key)) : SUCCESS;
}

#define FAIL_IF_TOLD                                                                                                   \
    do {                                                                                                               \
        int code = failure(__func__);                                                                                  \
        if (code) return code;                                                                                         \
    } while (0)

static int copy_name(int number, char *out, unsigned int size) {
    char names[512];
    snprintf(names, sizeof names, "%s", getenv("FAKE_NVML_BOARDS"));
    char *name = strtok(names, ",");
    while (name && number--) name = strtok(NULL, ",");
    if (!name) return INVALID_ARGUMENT;
    snprintf(out, size, "%s", name);
    return SUCCESS;
}

int nvmlInitWithFlags(unsigned int flags) { (void)flags; FAIL_IF_TOLD; return SUCCESS; }

int nvmlDeviceGetCount_v2(unsigned int *count) {
    char name[96];
    for (*count = 0; copy_name((int)*count, name, sizeof name) == SUCCESS; ++*count) {}
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, Board **board) {
    FAIL_IF_TOLD;
    char name[96];
    if (index >= MAX_BOARDS || copy_name((int)index, name, sizeof name)) return INVALID_ARGUMENT;
    boards[index].number = (int)index;
    *board = &boards[index];
    return SUCCESS;
}

int nvmlDeviceGetName(Board *board, char *name, unsigned int size) { return copy_name(board->number, name, size); }

int nvmlDeviceGetUUID(Board *board, char *uuid, unsigned int size) {
    snprintf(uuid, size, "GPU-000%d-fake", board->number);
    return SUCCESS;
}

int nvmlSystemGetDriverVersion(char *version, unsigned int size) {
    FAIL_IF_TOLD;
    snprintf(version, size, "580.65.06");
    return SUCCESS;
}

int nvmlDeviceGetUtilizationRates(Board *board, Utilization *rates) {
    FAIL_IF_TOLD;
    rates->gpu = 40 + (unsigned int)board->number;
    rates->memory = 10;
    return SUCCESS;
}

/* Half a joule more at each look. */
int nvmlDeviceGetTotalEnergyConsumption(Board *board, unsigned long long *millijoules) {
    FAIL_IF_TOLD;
    *millijoules = 1000000ULL + (board->millijoules += 500);
    return SUCCESS;
}

int nvmlDeviceGetClockInfo(Board *board, int type, unsigned int *mhz) {
    (void)board;
    FAIL_IF_TOLD;
    *mhz = type == 1 ? 1500 : 0;
    return SUCCESS;
}

int nvmlDeviceGetMaxClockInfo(Board *board, int type, unsigned int *mhz) {
    (void)board;
    FAIL_IF_TOLD;
    *mhz = type == 1 ? 1710 : 0;
    return SUCCESS;
}

int nvmlDeviceGetTemperatureV(Board *board, Temperature *temperature) {
    (void)board;
    FAIL_IF_TOLD;
    temperature->temperature = 51;
    return SUCCESS;
}

int nvmlDeviceGetComputeRunningProcesses_v3(Board *board, unsigned int *count, ProcessInfo *processes) {
    (void)board;
    FAIL_IF_TOLD;
    if (*count < 2) {
        *count = 2;
        return INSUFFICIENT_SIZE;
    }
    *count = 2;
    processes[0] = (ProcessInfo){1, 9ULL << 20, 0, 0};
    processes[1] = (ProcessInfo){(unsigned int)getpid(), 300ULL << 20, 0, 0};
    return SUCCESS;
}

/* Of this process: one stale sample at 100 %, two new ones (20 % and 40 %), one impossible; and a neighbour's. */
int nvmlDeviceGetProcessUtilization(
    Board *board, ProcessUtilizationSample *samples, unsigned int *count, unsigned long long last_seen
) {
    (void)board;
    FAIL_IF_TOLD;
    const unsigned int pid = (unsigned int)getpid();
    const unsigned long long later = 4000000000000000ULL; /* in the year 2096 */
    if (last_seen >= later + 4) return NOT_FOUND;
    if (!samples) {
        *count = 5;
        return INSUFFICIENT_SIZE;
    }
    samples[0] = (ProcessUtilizationSample){pid, 1, 100, 0, 0, 0};
    samples[1] = (ProcessUtilizationSample){pid, later + 1, 20, 0, 0, 0};
    samples[2] = (ProcessUtilizationSample){1, later + 2, 90, 0, 0, 0};
    samples[3] = (ProcessUtilizationSample){pid, later + 3, 40, 0, 0, 0};
    samples[4] = (ProcessUtilizationSample){pid, later + 4, 4000000000u, 0, 0, 0};
    *count = 5;
    return SUCCESS;
}
