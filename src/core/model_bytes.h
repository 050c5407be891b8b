/*
 * model_bytes.h
 *		A model as bytes: see doc/model-format.md, which is the contract.
 *
 * Reasons of failures here may name the numbers of clu_error as {expected} and {found}.
 */
#ifndef CLU_MODEL_BYTES_H
#define CLU_MODEL_BYTES_H

#include "model.h"

#define CLU_MODEL_HEADER 128 /* bytes before the parameters */
#define CLU_FORMAT_VERSION 1

/* Bytes of the encoded model, from its counts alone; SIZE_MAX where that overflows. */
size_t clu_encoded_size(const clu_model *model);

/* Write them, and set model->identity.  The model must be valid (clu_model_check). */
void clu_encode(clu_model *model, uint8_t *bytes);

/*
 * Read and check everything: lengths before use, ranges, finite parameters, weights that sum to
 * one, covariances that are positive definite, identity and checksum.  Two steps, since the
 * memory is the caller's: clu_decode_header checks the header and the length and fills in all but
 * the arrays; clu_decode_layout says what memory those need (also scratch for checks);
 * clu_decode_body reads and checks them.  The bytes need no alignment.
 */
clu_status clu_decode_header(clu_model *model, const uint8_t *bytes, size_t length,
							 clu_error *error);
void	   clu_decode_layout(clu_model *model, clu_arena *arena);
clu_status clu_decode_body(clu_model *model, const uint8_t *bytes, size_t length,
						   const clu_interrupt *interrupt, clu_error *error);

/*
 * The identity as it stands in the first CLU_MODEL_HEADER bytes, unchecked.  Whoever keeps decoded
 * models had better compare the whole header with the one that was decoded: it contains identity
 * and checksum, which are independent of each other.
 */
uint64_t clu_header_identity(const uint8_t *header);

/*
 * Whether a model that did not come from bytes is one: everything that clu_decode_body checks of
 * the values.  Scratch: clu_check_scratch doubles, or NULL where that is 0.
 */
clu_status clu_model_check(const clu_model *model, double *scratch, const clu_interrupt *interrupt,
						   clu_error *error);
size_t	   clu_check_scratch(const clu_model *model);

/* The part of it that needs no arrays; the first of these needs no options either. */
clu_status clu_model_check_shape(const clu_model *model, clu_error *error);
clu_status clu_model_check_summary(const clu_model *model, clu_error *error);

#endif
