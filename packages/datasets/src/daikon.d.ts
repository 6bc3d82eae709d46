/** What is used of daikon, which has no types of its own. */
declare module 'daikon' {
  export interface Image {
    getRows(): number | null;
    getCols(): number | null;
    getSeriesInstanceUID(): string | null;
    getSeriesDescription(): string | null;
    getImagePosition(): number[] | null;
    getImageDirections(): number[] | null;
    getPixelSpacing(): number[] | null;
    getSliceThickness(): number | null;
    getNumberOfFrames(): number;
    getNumberOfSamplesPerPixel(): number;
    hasPixelData(): boolean;
    isPalette(): boolean;
    getInterpretedData(asArray: false, asObject: false): Float32Array<ArrayBuffer>;
  }
  const daikon: {
    readonly Series: {
      /** Nothing where the bytes cannot be read; why is in `parserError`. */
      parseImage(data: DataView): Image | null;
      readonly parserError: unknown;
    };
  };
  export default daikon;
}
